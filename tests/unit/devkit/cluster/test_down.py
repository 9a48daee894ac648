"""down.sh beside clusters that come and go: what it looks for, when others may take its index."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

DOWN = Path(__file__).parents[4] / "devkit" / "cluster" / "down.sh"
INDEX = "7"
# `ip` knows one link. `rm` is followed at once by somebody who takes the index as soon as it is
# free, as claim_index does: no claim of it, or one whose directory is gone.
PROGRAMS = {
    "ip": """[ "$1 $2" = "link delete" ] && [ -z "$STUCK" ] && rm -f "$KT_ROOT/link"
[ -e "$KT_ROOT/link" ] && echo "kt7@if2 UP" """,
    "rm": """/bin/rm "$@"
[ -e "$KT_CLAIMS/7" ] || touch "$KT_ROOT/link" """,
    "sleep": "exit 0",
}


@dataclass(frozen=True)
class Place:
    root: Path

    @property
    def state(self) -> Path:
        return self.root / "run" / "one"

    @property
    def claim(self) -> Path:
        return self.root / "claims" / INDEX

    def down(self, **variables: str) -> subprocess.CompletedProcess[str]:
        places = {"KT_ROOT": "run", "KT_DATA": "data", "KT_CLAIMS": "claims"}
        environment = {
            "PATH": f"{self.root / 'bin'}:{os.environ['PATH']}",
            **{name: str(self.root / place) for name, place in places.items()},
            **variables,
        }
        return subprocess.run([DOWN, "one"], env=environment, capture_output=True, text=True)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    place = Place(tmp_path)
    for folder in ("bin", "claims", "data/one", "run/one"):
        (tmp_path / folder).mkdir(parents=True)
    for name, text in PROGRAMS.items():
        program = tmp_path / "bin" / name
        program.write_text(f"#!/bin/bash\n{text}\n")
        program.chmod(0o755)
    (place.state / "index").write_text(f"{INDEX}\n")
    (tmp_path / "run" / "link").touch()
    place.claim.symlink_to(place.state)
    return place


def test_the_link_of_who_takes_the_index_next_is_not_taken_for_ours(place: Place) -> None:
    done = place.down()
    assert (done.returncode, done.stderr) == (0, "")
    assert (place.root / "run" / "link").exists(), "somebody has the index by now"
    assert not place.claim.is_symlink()
    assert not place.state.exists()
    assert not (place.root / "data" / "one").exists()


def test_a_link_that_cannot_be_removed_is_told(place: Place) -> None:
    done = place.down(STUCK="1")
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        'down.sh: could not remove everything of the cluster "one":',
        "kt7@if2 UP",
    ]


def test_an_index_that_is_another_clusters_by_now_is_left_to_it(place: Place) -> None:
    place.claim.unlink()
    place.claim.symlink_to(place.root)
    assert place.down().returncode == 0
    assert place.claim.readlink() == place.root
