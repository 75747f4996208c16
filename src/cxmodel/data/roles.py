"""Roles: which column of an event log plays which part."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from cxmodel.data.fields import Field
from cxmodel.model.rules import Rule, Unmatched


@frozen(kw_only=True)
class Roles:
    """Which column plays which part.

    Attributes:
        customer: Id of the customer.
        touchpoint: Name of the touchpoint.
        time: When it was.
        journey: Id of the journey, where there is one.
        until: When it ended.
        value: What it was worth.
        named: Facts about the event with a fixed meaning: channel, department, contact, stage, source → column.
        attributes: Further columns to keep under their own names.
        order: Columns that break ties of time.
        lifecycle: Column and its texts for start and complete.
        instance: Column that says which start and complete belong together.
        currency: Currency of the values.
        rules: How raw names become touchpoints; the first that matches wins.
        unmatched: What becomes of names that no rule matches.
        tz: Zone of times that name none.
    """

    customer: str
    touchpoint: str
    time: str
    journey: str | None = None
    until: str | None = None
    value: str | None = None
    named: Mapping[str, str] = field(factory=dict)
    attributes: tuple[str, ...] = ()
    order: tuple[str, ...] = ()
    lifecycle: tuple[str, str, str] | None = None
    instance: str | None = None
    currency: str | None = None
    rules: tuple[Rule, ...] = ()
    unmatched: Unmatched = "keep"
    tz: str | None = None

    def fields(self) -> list[Field]:
        """What to read."""
        fields = [
            Field("customer", self.customer, "id", required=True),
            Field("touchpoint", self.touchpoint, "text", required=True),
            Field("time", self.time, "time", required=True),
        ]
        if self.journey is not None:
            fields.append(Field("journey", self.journey, "id", required=True))
        if self.until is not None:
            fields.append(Field("until", self.until, "time"))
        if self.value is not None:
            fields.append(Field("value", self.value, "number"))
        fields += [Field(f"={name}", column, "text") for name, column in self.named.items()]
        fields += [Field(f"={column}", column, "any") for column in self.attributes]
        fields += [Field(f"<{i}", column, "any") for i, column in enumerate(self.order)]
        if self.lifecycle is not None:
            fields.append(Field("lifecycle", self.lifecycle[0], "text", required=True))
            if self.instance is not None:
                fields.append(Field("instance", self.instance, "id"))
        return fields
