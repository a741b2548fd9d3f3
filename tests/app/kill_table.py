"""kill_table.py FILE: what kills cost, from the lines that test_kills.py wrote to
NTK_CAMPAIGN_LOG."""

import json
import pathlib
import sys


def kill_table(lines):
    """By phase: kills, tiles in the journal (mean share), lost and wrong ones, and the most that was
    repeated (mean share)."""
    def mean(of, key):
        return sum(100 * line[key] / line["units"] for line in of) / len(of)

    rows = [f"{'phase':<24}{'kills':>6}{'journalled':>12}{'lost':>6}{'wrong':>6}{'repeated':>10}"]
    for phase in [*sorted({line["phase"] for line in lines}), "all"]:
        of = [line for line in lines if phase in (line["phase"], "all")]
        rows.append(f"{phase:<24}{len(of):>6}{mean(of, 'journalled'):>10.0f} %"
                    f"{sum(line['lost'] for line in of):>6}"
                    f"{sum(line['wrong'] + line['damaged'] for line in of):>6}"
                    f"{mean(of, 'repeated'):>8.1f} %")
    return "\n".join(rows)


if __name__ == "__main__":
    print(kill_table([json.loads(line)
                      for line in pathlib.Path(sys.argv[1]).read_text().splitlines()]))
