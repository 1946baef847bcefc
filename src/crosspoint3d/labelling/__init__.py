"""Trained networks put to work: `segment` labels the parts of shapes, `classify` names their categories."""
