# SPDX-FileCopyrightText: 2026 The FlashKet authors
# SPDX-License-Identifier: Apache-2.0
from datetime import date

import pytest

from flashket.economics import Price, load_prices, price
from flashket.economics.prices import oldest
from flashket.errors import InputError

HEADER = "item,unit,value,currency,source,as_of,note\n"


def test_every_price_has_a_source_and_a_date():
    for item, one in load_prices().items():
        assert one.item == item and one.unit and one.source and one.as_of and one.value > 0


@pytest.mark.parametrize(
    ("as_of", "today", "stale"),
    [
        ("2026-05-25", date(2026, 11, 21), False),  # 180 days
        ("2026-05-25", date(2026, 11, 22), True),
        ("2026-05", date(2026, 10, 28), False),  # a month is taken as its first day
        ("2026-05", date(2026, 10, 29), True),
        ("2026", date(2026, 1, 2), True),
        ("c. 2025 undated", date(2025, 1, 2), True),
        ("2026-02-31", date(2026, 3, 1), True),
        ("2026-05-25", date(2026, 5, 24), True),  # a clock that is behind the price tells no age
    ],
)
def test_stale(as_of, today, stale):
    assert Price("x", "per shot", 1.0, "USD", "somewhere", as_of).is_stale(today) is stale


def test_a_file_of_ones_own_replaces_rows(tmp_path, monkeypatch):
    file = tmp_path / "own.csv"
    file.write_text(
        "# mine\n" + HEADER + "ibm_payg,per QPU second,1.2,USD,contract,2026-11-01,\nmy_qpu,per shot,0.5,USD,contract,2026-11-01,\n"
    )
    assert price("ibm_payg", file).value == 1.2 and price("my_qpu", file).source == "contract"
    assert price("braket_task", file).value == 0.3 and price("ibm_payg").value == 1.6
    monkeypatch.setenv("FLASHKET_PRICES", str(file))
    assert price("ibm_payg").value == 1.2
    assert load_prices()["ibm_payg"].as_of == "2026-11-01"


@pytest.mark.parametrize(
    "row", ["a,per shot,-1,USD,s,2026,", "a,per shot,nan,USD,s,2026,", "a,per shot,x,USD,s,2026,", "a,per shot,1", ",u,1,USD,s,d,"]
)
def test_bad_rows_are_refused(tmp_path, row):
    file = tmp_path / "own.csv"
    file.write_text(HEADER + row + "\n")
    with pytest.raises(InputError, match="row 1"):
        load_prices(file)


def test_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="ibm_payg"):
        price("nothing")
    with pytest.raises(InputError, match="readable"):
        load_prices(tmp_path / "absent.csv")


def test_the_least_trustworthy_date_is_told():
    book = load_prices()
    assert oldest([book["iqm_resonance"], book["ibm_payg"]]) == "2026-05-25"
    assert oldest([book["iqm_resonance"], book["braket_task"]]) == "c. 2025 undated"
    assert oldest([]) == ""


@pytest.mark.parametrize(
    "row", ["ibm_payg,per QPU second,1.2,,s,d,", "ibm_payg,per QPU year,1.2,USD,s,d,", "braket_task,per shot,1,USD,s,d,"]
)
def test_a_known_item_keeps_its_currency_and_the_kind_of_its_unit(tmp_path, row):
    file = tmp_path / "own.csv"
    file.write_text(HEADER + row + "\n")
    with pytest.raises(InputError, match=r"must be per (QPU second|task).*, in USD"):
        load_prices(file)
    file.write_text(HEADER + "ibm_payg,per QPU minute,72,USD,s,d,\n")
    assert price("ibm_payg", file).unit == "per QPU minute"


def test_a_file_without_a_header_is_refused(tmp_path):
    file = tmp_path / "own.csv"
    for text in ("", "not a price\n", "item,value\n"):
        file.write_text(text)
        with pytest.raises(InputError, match="header"):
            load_prices(file)
