"""Hardware in the loop: boards, bench, reports."""
