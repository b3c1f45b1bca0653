"""What LibreOffice made of sheets: 44 and 59 are those separators, and each directory holds what was opened so."""

import csv
import pathlib
import sys
import xml.etree.ElementTree as xml

TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
work = pathlib.Path(sys.argv[1])


def cells(file):
    return list(xml.parse(file).iter(TABLE + "table-cell"))


def formulas(file):
    return [cell.get(TABLE + "formula") for cell in cells(file) if cell.get(TABLE + "formula")]


def text(cell):
    return "\n".join("".join(paragraph.itertext()) for paragraph in cell)


def rows(file):
    # A line break within a cell is one, however it is written.
    with open(file, encoding="utf-8-sig", newline="") as lines:
        return [[cell.replace("\r", "\n") for cell in row] for row in csv.reader(lines)]


dangerous = 0
for separator in ("44", "59"):
    raw, hostile = work / separator / "raw.fods", work / separator / "hostile.fods"
    assert formulas(raw), f"a reader by {separator} that finds no formula at all"
    assert not formulas(hostile), formulas(hostile)[:5]
    for cell in cells(hostile):
        said = text(cell)
        if said.lstrip()[:1] in ("=", "+", "-", "@") and said.strip():
            assert cell.get(OFFICE + "value-type") == "float", said
        dangerous += said.startswith("'")
assert dangerous > 500, dangerous

# What is opened and saved again says the same: no 11.50 became a number, no digest a power of ten.
compared = 0
for before in sorted(work.glob("*.csv")):
    after = rows(work / "44" / before.name)
    for given, kept in zip(rows(before), after, strict=True):
        for one, other in zip(given, kept, strict=True):
            compared += 1
            # A switch is written in capitals, a fraction with 15 digits.
            same = one == other or one.upper() == other
            assert same or float(one) and abs(float(one) - float(other)) < 1e-9, (before.name, one, other)
print(f"{dangerous} cells of an enemy are text, {compared} cells say what they said")
