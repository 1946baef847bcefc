"""What pre-training on a number of shapes costs: time, storage, reads and money, from measured rates and your prices.

    python examples/scale_costs.py
    python examples/scale_costs.py --shapes 200000 --epochs 50 --device-pairs-per-s 900 --device-hour 2.5

The defaults of the rates are the measured ones of docs/scale.md (two cores of an AMD EPYC, 128 px, 12 views), but for
`--device-pairs-per-s`, which is a target and not measured. Prices are examples: put in your own. The table is Markdown.
"""

import argparse
from collections.abc import Iterable

GIGABYTE = 1e9


def rows(shapes: int, epochs: int, rate: argparse.Namespace) -> Iterable[tuple[str, str]]:
    """What and how much, in the order of the work."""
    prepare = shapes / rate.meshes_per_s_core / 3600
    table = shapes * rate.bytes_per_shape / GIGABYTE
    pairs = shapes * epochs
    device_hours = pairs / rate.device_pairs_per_s / 3600
    reads = pairs * rate.bytes_per_pair / GIGABYTE
    hours = {count: device_hours / (count * (rate.efficiency if count > 1 else 1)) for count in (1, 8, 32)}
    bill = {
        "prepare": prepare * rate.core_hour,
        "table": table * rate.gigabyte_month,
        "training": max(hours[8] * 8, device_hours) * rate.device_hour,
        "requests": pairs * rate.requests_per_pair * rate.request / 1000,
        "egress": table * rate.gigabyte_egress,
    }
    yield "epochs; pairs", f"{epochs}; {pairs:,}"
    yield "prepare, core hours", f"{prepare:,.1f}"
    yield "prepare, hours on 16 / 512 cores", f"{prepare / 16:,.2f} / {prepare / 512:,.2f}"
    yield "table, GB", f"{table:,.0f}"
    yield "training, hours on 1 / 8 / 32 devices", " / ".join(f"{value:,.2f}" for value in hours.values())
    yield "loader cores a device", f"{rate.device_pairs_per_s / rate.loader_pairs_per_s_core:.2f}"
    yield "read from the table in all, GB", f"{reads:,.0f}"
    yield "prepare", f"${bill['prepare']:,.2f}"
    yield "table, a month", f"${bill['table']:,.2f}"
    yield "training on 8 devices", f"${bill['training']:,.0f}"
    yield "requests, if read from an object store", f"${bill['requests']:,.2f}"
    yield "egress, if the table is copied out once", f"${bill['egress']:,.2f}"


def main() -> None:
    """Print one column for each number of shapes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", type=int, nargs="+", default=[50_000, 1_000_000, 10_000_000])
    parser.add_argument("--epochs", type=int, nargs="+", default=[100, 30, 10], help="one for each --shapes")
    parser.add_argument("--meshes-per-s-core", type=float, default=39.0)
    parser.add_argument("--bytes-per-shape", type=float, default=54_000)
    parser.add_argument("--bytes-per-pair", type=float, default=47_000, help="read for one pair")
    parser.add_argument("--requests-per-pair", type=float, default=1.8, help="of an object store, for one pair")
    parser.add_argument("--loader-pairs-per-s-core", type=float, default=2778.0)
    parser.add_argument("--device-pairs-per-s", type=float, default=1500.0, help="a target, not measured")
    parser.add_argument("--efficiency", type=float, default=0.84, help="of several devices by one")
    parser.add_argument("--core-hour", type=float, default=0.05, help="price")
    parser.add_argument("--device-hour", type=float, default=4.0, help="price")
    parser.add_argument("--gigabyte-month", type=float, default=0.023, help="price of storage")
    parser.add_argument("--gigabyte-egress", type=float, default=0.09, help="price")
    parser.add_argument("--request", type=float, default=0.0004, help="price of 1,000")
    rate = parser.parse_args()
    if len(rate.epochs) != len(rate.shapes):
        parser.error(f"--epochs has {len(rate.epochs)} numbers for {len(rate.shapes)} of --shapes: give one for each")
    columns = [list(rows(*pair, rate)) for pair in zip(rate.shapes, rate.epochs, strict=True)]
    print("| shapes | " + " | ".join(f"{shapes:,}" for shapes in rate.shapes) + " |")
    print("|---" * (len(columns) + 1) + "|")
    for line in zip(*columns, strict=True):
        print(f"| {line[0][0]} | " + " | ".join(value for _, value in line) + " |")


if __name__ == "__main__":
    main()
