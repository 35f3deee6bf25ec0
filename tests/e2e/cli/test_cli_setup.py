from __future__ import annotations

from typing import Any

from tests.e2e.cli.desk import Desk

_ROOM = ("--type", "room", "--time-zone", "Europe/Berlin")


def _ids(rows: list[dict[str, Any]], key: str) -> list[str]:
    return [row[key] for row in rows]


def test_the_demo_data_is_what_the_documentation_says(desk: Desk) -> None:
    resources = {row["resource_id"]: row for row in desk.json("resources", "list")}
    schedules = {row["schedule_id"]: row for row in desk.json("schedules", "list")}
    event_types = {row["event_type_id"]: row for row in desk.json("event-types", "list")}

    assert {name: (row["name"], row["type"]) for name, row in resources.items()} == {
        "keyboard-fp88": ("Keyboard FP88", "equipment"),
        "microphone": ("Microphones", "equipment"),
        "shure-sm7b": ("Shure SM7b", "equipment"),
        "studio-a": ("StudioA", "room"),
        "studio-b": ("StudioB", "room"),
    }
    microphone = resources.pop("microphone")
    assert (microphone["standalone"], microphone["pool"]) == (False, True)
    assert desk.json("capacity", "microphone")["units"] == 6
    assert all(row["standalone"] and not row["pool"] for row in resources.values())
    assert schedules["business-hours"]["name"] == "Business Hours"
    assert schedules["business-hours"]["is_default"] is True
    assert schedules["studio-hours"]["is_default"] is False
    assert {name: row["duration_options_minutes"] for name, row in event_types.items()} == {
        "rental": [1440, 2880, 4320, 10080],
        "session": [60, 120, 300],
        "session-1h": [60],
        "session-5h": [300],
    }


def test_loading_the_demo_data_twice_changes_nothing(desk: Desk) -> None:
    def everything() -> list[Any]:
        return [desk.json(noun, "list") for noun in ("resources", "schedules", "event-types")]

    before = everything()

    loaded = desk.json("demo", "load")

    assert loaded["created"] == []
    assert len(loaded["kept"]) == 11
    assert everything() == before


def test_loading_the_demo_data_again_respects_what_was_done_since(desk: Desk) -> None:
    desk.ok("resources", "update", "studio-a", "--name", "Large Hall")
    desk.ok("resources", "delete", "studio-b", "--yes")
    desk.ok("capacity", "microphone", "9")

    desk.ok("demo", "load")

    assert desk.json("resources", "show", "studio-a")["name"] == "Large Hall"
    assert desk.json("capacity", "microphone")["units"] == 9
    assert "studio-b" not in _ids(desk.json("resources", "list"), "resource_id")


def test_the_demo_data_leaves_an_organizations_default_schedule_alone(empty_desk: Desk) -> None:
    empty_desk.ok(
        "schedules", "create", "mine", "--name", "Mine", "--time-zone", "UTC", "--default"
    )

    empty_desk.ok("demo", "load")

    assert empty_desk.json("schedules", "show", "mine")["is_default"] is True


def test_a_resource_lives_through_create_update_delete_and_undelete(empty_desk: Desk) -> None:
    created = empty_desk.json(
        "resources", "create", "hall", "--name", "Hall", *_ROOM,
        "--description", "Large", "--label", "floor=2", "--label", "piano=", "--add-on",
        "--hold-policy", "advisory",
    )  # fmt: skip
    assert created["metadata"] == {"floor": "2", "piano": ""}
    assert created["standalone"] is False
    assert created["hold_policy"] == "advisory"
    assert created["active"] is True
    assert created["schedule_id"] == ""

    updated = empty_desk.json(
        "resources", "update", "hall", "--name", "Great Hall", "--inactive", "--yes",
        "--clear", "label", "--clear", "description", "--etag", created["etag"],
    )  # fmt: skip
    assert (updated["name"], updated["active"]) == ("Great Hall", False)
    assert (updated["metadata"], updated["description"]) == ({}, "")
    assert updated["standalone"] is False

    deleted = empty_desk.json("resources", "delete", "hall", "--yes")
    assert deleted["delete_time"] is not None
    assert empty_desk.json("resources", "list") == []
    assert _ids(empty_desk.json("resources", "list", "--deleted"), "resource_id") == ["hall"]

    restored = empty_desk.json("resources", "undelete", "hall")
    assert restored["delete_time"] is None
    assert empty_desk.json("resources", "show", "hall") == restored


def test_a_stale_etag_ends_with_four(desk: Desk) -> None:
    etag = desk.json("resources", "show", "studio-a")["etag"]
    desk.ok("resources", "update", "studio-a", "--name", "A")

    code, error = desk.refused("resources", "update", "studio-a", "--name", "B", "--etag", etag)

    assert (code, error["reason"]) == (4, "STALE_ETAG")


def test_a_taken_id_ends_with_four(desk: Desk) -> None:
    code, error = desk.refused("resources", "create", "studio-a", "--name", "A", *_ROOM)

    assert (code, error["reason"]) == (4, "ID_TAKEN")


def test_a_resource_without_an_id_gets_one(empty_desk: Desk) -> None:
    created = empty_desk.json("resources", "create", "--name", "Hall", *_ROOM)

    assert len(created["resource_id"]) == 36


def test_resources_are_listed_by_type_text_and_number(desk: Desk) -> None:
    def listed(*arguments: str) -> list[str]:
        return _ids(desk.json("resources", "list", *arguments), "resource_id")

    assert listed("--type", "room") == ["studio-a", "studio-b"]
    assert listed("--text", "fp88") == ["keyboard-fp88"]
    assert listed("--limit", "3") == ["keyboard-fp88", "microphone", "shure-sm7b"]
    assert listed("--inactive") == []


def test_a_schedule_lives_through_create_update_and_delete(empty_desk: Desk) -> None:
    created = empty_desk.json(
        "schedules", "create", "late", "--name", "Late", "--time-zone", "Asia/Kathmandu",
        "--hours", "mon-tue 18:00-24:00", "--hours", "sat 08:00-12:00,13:00-17:00",
    )  # fmt: skip
    assert [
        (each["day"], each["window"]["start"], each["window"]["end"]) for each in created["windows"]
    ] == [
        ("monday", "18:00", "24:00"),
        ("tuesday", "18:00", "24:00"),
        ("saturday", "08:00", "12:00"),
        ("saturday", "13:00", "17:00"),
    ]
    shown = empty_desk.ok("schedules", "show", "late")
    assert "Mon-Tue 18:00-24:00\n" in shown
    assert "Sat 08:00-12:00, 13:00-17:00\n" in shown

    updated = empty_desk.json("schedules", "update", "late", "--clear", "hours")
    assert updated["windows"] == []

    assert empty_desk.json("schedules", "delete", "late", "--yes") == {
        "schedule_id": "late",
        "deleted": True,
    }
    assert empty_desk.json("schedules", "list") == []


def test_a_schedule_in_use_is_not_deleted(desk: Desk) -> None:
    code, error = desk.refused("schedules", "delete", "studio-hours", "--yes")

    assert (code, error["reason"]) == (1, "IN_USE")


def test_overrides_are_set_listed_and_deleted(desk: Desk) -> None:
    override = ("schedules", "override")
    desk.ok(*override, "set", "studio-hours", "2027-12-24", "--hours", "10:00-14:00")
    closed = desk.json(
        *override, "set", "studio-hours", "2027-12-25", "--closed", "--note", "Christmas"
    )

    assert closed == {
        "date": "2027-12-25",
        "unavailable": True,
        "windows": [],
        "note": "Christmas",
    }
    listed = desk.json(*override, "list", "studio-hours")
    assert _ids(listed, "date") == ["2027-12-24", "2027-12-25"]
    assert listed[0]["windows"] == [{"start": "10:00", "end": "14:00"}]
    assert desk.json(*override, "list", "studio-hours", "--until", "2027-12-24") == listed[:1]

    desk.ok(*override, "delete", "studio-hours", "2027-12-24")

    assert desk.json(*override, "list", "studio-hours") == [closed]
    code, error = desk.refused(*override, "delete", "studio-hours", "2027-12-24")
    assert (code, error["reason"]) == (3, "NOT_FOUND")


def test_an_event_type_lives_through_create_update_delete_and_undelete(desk: Desk) -> None:
    created = desk.json(
        "event-types", "create", "viewing", "--title", "Viewing", "--duration", "30",
        "--duration", "1h", "--buffer-after", "15m", "--notice", "2h", "--horizon", "90d",
        "--interval", "30m", "--location", "Foyer", "--time-zone-lock", "Europe/Berlin",
        "--closed-hours", "open-at-ends", "--description", "A look around",
    )  # fmt: skip
    assert created["duration_options_minutes"] == [30, 60]
    assert created["buffer_after_minutes"] == 15
    assert created["minimum_notice_minutes"] == 120
    assert created["horizon_minutes"] == 90 * 1440
    assert created["closed_hours_policy"] == "open_at_ends"
    assert created["slug"] == "viewing"

    updated = desk.json(
        "event-types", "update", "viewing", "--flexible", "15m-1h/15m", "--clear", "horizon"
    )
    assert updated["duration_options_minutes"] == []
    assert updated["flexible_duration"] == {
        "minimum_minutes": 15,
        "maximum_minutes": 60,
        "step_minutes": 15,
    }
    assert updated["horizon_minutes"] is None

    desk.ok("event-types", "delete", "viewing", "--yes")
    assert "viewing" not in _ids(desk.json("event-types", "list"), "event_type_id")
    restored = desk.json("event-types", "undelete", "viewing")
    assert restored["delete_time"] is None


def test_a_link_lets_an_event_type_book_a_resource_until_it_is_ended(desk: Desk) -> None:
    desk.ok("resources", "create", "studio-c", "--name", "StudioC", *_ROOM)
    question = ("slots", "studio-c", "2027-03-09", "--duration", "60")

    assert desk.refused(*question)[1]["reason"] == "NOT_LINKED"
    assert desk.json("link", "studio-c", "session-1h") == {
        "resource_id": "studio-c",
        "event_type_id": "session-1h",
        "linked": True,
    }
    assert len(desk.soon(*question)["slots"]) == 8
    assert desk.json("unlink", "studio-c", "session-1h")["linked"] is False
    assert desk.refused(*question)[1]["reason"] == "NOT_LINKED"


def test_unknown_things_cannot_be_linked(desk: Desk) -> None:
    assert desk.refused("link", "studio-z", "session-1h")[0] == 3
    assert desk.refused("link", "studio-a", "session-z")[0] == 3


def test_fields_at_fault_are_named(empty_desk: Desk) -> None:
    code, error = empty_desk.refused("resources", "create", "a b", "--name", "", *_ROOM)

    assert (code, error["reason"]) == (2, "INVALID_FIELD")
    assert {"resource.resource_id", "resource.name"} <= set(_ids(error["fields"], "field"))


def test_stored_text_cannot_drive_the_terminal(empty_desk: Desk) -> None:
    right_to_left = "\u202eevil"
    empty_desk.ok(
        "resources", "create", "hall", "--name", "Hall", *_ROOM, "--description", right_to_left
    )

    shown = empty_desk.ok("resources", "show", "hall")
    as_json = empty_desk.ok("-o", "json", "resources", "show", "hall")

    assert "\u202e" not in shown
    assert "\ufffdevil" in shown
    assert "\u202e" not in as_json
    assert "\\u202eevil" in as_json
