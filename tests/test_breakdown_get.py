"""A breakdown is a mapping like any other."""

import cxmodel as cx


def test_get_gives_the_default_for_a_group_that_is_not_there() -> None:
    breakdown = cx.Breakdown(by=("touchpoint",), metric="nps", groups={"ad": cx.Estimate(value=1.0, n=1)})
    assert breakdown.get("ad") == cx.Estimate(value=1.0, n=1)
    assert breakdown.get("shop") is None
    assert breakdown.get("shop", "nothing") == "nothing"
