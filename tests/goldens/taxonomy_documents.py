#!/usr/bin/env python3
"""Writes tests/data/taxonomy/harbour.pdf, a small PDF without any library: three pages of the base fonts, uncompressed.

It has what makes PDFs hard: running heads and feet, words parted at line ends, a paragraph that goes on behind a page's
end, two columns, headings of two sizes, a list with bullets, code, a table of contents. Every byte follows from this
script.
"""
import pathlib

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "taxonomy" / "harbour.pdf"
BODY, BOLD, CODE = "F1", "F2", "F3"  # Helvetica, Helvetica-Bold, Courier


def text(x, y, size, words, font=BODY):
    words = words.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    return f"BT /{font} {size} Tf {x} {y} Td ({words}) Tj ET\n"


def paragraph(x, y, lines, size=10, font=BODY, lead=12):
    return "".join(text(x, y - lead * i, size, line, font) for i, line in enumerate(lines))


def page(number, content):
    head = text(72, 750, 8, "Harbour rules of Pellamy") + text(480, 750, 8, f"edition {number}")
    foot = text(290, 40, 8, f"Page {number} of 3")
    return head + content + foot


PAGES = [
    text(72, 700, 24, "Harbour rules", BOLD)
    + paragraph(72, 670, ["Berths . . . . . . . . . . . . . . . . . . . . . 1", "Fees . . . . . . . . . . . . . . . . . . . . . . . 2"])
    + text(72, 620, 16, "Berths", BOLD)
    + paragraph(72, 595, [
        "Every boat that stays for a night needs a berth. The harbour master gives out the",
        "berths in the morning, when the tide is low and the mud of the inner basin is still vis-",
        "ible from the wooden pier. A long-standing custom lets the ferries choose first, and this long-",
        "standing custom binds every visitor."])
    + paragraph(72, 530, ["Three things are not allowed at a berth:"])
    + text(80, 512, 10, "\\225 open fires on deck,".replace("\\225", "\x95"))
    + text(80, 498, 10, "\x95 washing of sails,")
    + text(80, 484, 10, "\x95 keeping geese that are louder than")
    + text(88, 472, 10, "the fog horn.")
    + paragraph(72, 100, [
        "A boat without a name is entered in the book under the name of the one who steers it and it keeps",
        "this name until it leaves. The book lies open in the hut and everybody who can read may read what is"]),
    paragraph(72, 700, ["written in it, but nobody may tear out a page."])
    + text(72, 660, 16, "Fees", BOLD)
    + paragraph(72, 640, ["A night costs two blue shells. The harbour pro-", "gram that counts them is short:"])
    + paragraph(72, 600, ["int fee(int nights) {", "    int shells = 2 * nights;", "    return shells;", "}"], font=CODE)
    + paragraph(72, 530, ["1. Pay at the hut.", "2. Keep the receipt."], lead=20),
    text(72, 700, 16, "Two columns", BOLD)
    + paragraph(72, 670, ["The left column tells of the", "lighthouse, which is called", "Candle Rock and which was", "built by people who never"])
    + paragraph(330, 670, ["slept at night. The right", "column ends this document", "with a full stop."]),
]


def stream(body):
    data = body.encode("latin-1")
    return b"<< /Length %d >>\nstream\n" % len(data) + data + b"endstream"


def font(name):
    return b"<< /Type /Font /Subtype /Type1 /BaseFont /%s /Encoding /WinAnsiEncoding >>" % name.encode()


kids = " ".join(f"{6 + 2 * i} 0 R" for i in range(len(PAGES)))
objects = [
    b"<< /Type /Catalog /Pages 2 0 R >>",
    f"<< /Type /Pages /Kids [{kids}] /Count {len(PAGES)} >>".encode(),
    font("Helvetica"), font("Helvetica-Bold"), font("Courier"),
]
for i, content in enumerate(PAGES):
    objects.append(f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {7 + 2 * i} 0 R /Resources "
                   "<< /Font << /F1 3 0 R /F2 4 0 R /F3 5 0 R >> >> >>".encode())
    objects.append(stream(page(i + 1, content)))

out, offsets = bytearray(b"%PDF-1.4\n"), []
for number, body in enumerate(objects, 1):
    offsets.append(len(out))
    out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
start = len(out)
out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
out += b"".join(b"%010d 00000 n \n" % o for o in offsets)
out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
OUT.write_bytes(out)
