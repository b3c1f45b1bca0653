"""What is copied from the pages: the hash on each, and words without anything between their letters."""

import hashlib
import pathlib
import re
import sys

work, golden = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
count = 0
for report in sorted(golden.glob("*.json")):
    sha256 = hashlib.sha256(report.read_bytes()).hexdigest()
    pages = (work / f"{report.stem}.txt").read_text().split("\f")[:-1]
    for number, page in enumerate(pages, 1):
        foot = page.strip().splitlines()[-1]
        assert sha256 in foot, (report.name, number, foot)
        assert foot.endswith(f"Page {number} of {len(pages)}"), foot
    text = "\n".join(pages)
    assert not re.search("[\u200b\u0001\ufffd]", text), report.name
    for words in ("Integrity appendix", "Approvals", "Timeline", "Release branch created"):
        assert words in text, (report.name, words)
    count += len(pages)

hostile = (work / "hostile.txt").read_text()
# Shown, and not read as markup.
for words in ('#panic("ran")', "#include", "<script>", "=HYPERLINK("):
    assert words in hostile, words
print(f"{count} pages of 5 reports, and a hostile one")
