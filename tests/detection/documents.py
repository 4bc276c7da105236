"""Writes documents and pictures of many kinds into a directory, with the libraries that people use."""

import pathlib
import sys

import docx
import openpyxl
import pptx
from odf import opendocument, table, text
from PIL import Image
from reportlab.pdfgen import canvas

into = pathlib.Path(sys.argv[1])
WORDS = "A quarantine station holds ships until they are known to be healthy."


def of_words(number):
    document = docx.Document()
    document.add_heading("Report", 0)
    for _ in range(number * 20):
        document.add_paragraph(WORDS)
    document.save(into / f"{number}.docx")


def of_sheets(number):
    book = openpyxl.Workbook()
    for row in range(number * 50):
        book.active.append([row, WORDS, row / 7])
    book.save(into / f"{number}.xlsx")


def of_slides(number):
    show = pptx.Presentation()
    for _ in range(number):
        show.slides.add_slide(show.slide_layouts[5]).shapes.title.text = WORDS
    show.save(into / f"{number}.pptx")


def of_open_documents(number):
    words = opendocument.OpenDocumentText()
    for _ in range(number * 20):
        words.text.addElement(text.P(text=WORDS))
    words.save(into / f"{number}.odt")
    sheet = opendocument.OpenDocumentSpreadsheet()
    sheet.spreadsheet.addElement(table.Table(name="numbers"))
    sheet.save(into / f"{number}.ods")
    opendocument.OpenDocumentPresentation().save(into / f"{number}.odp")


def of_pages(number):
    pages = canvas.Canvas(str(into / f"{number}.pdf"))
    for _ in range(number):
        pages.drawString(72, 720, WORDS)
        pages.showPage()
    pages.save()


def of_pictures(number):
    picture = Image.effect_noise((64 * number, 48 * number), 60)
    for kind in ["png", "jpg", "gif", "bmp", "tiff", "webp", "ico", "ppm", "pcx", "tga", "jp2"]:
        try:
            picture.convert("RGB").save(into / f"{number}.{kind}")
        except (KeyError, OSError) as error:
            print(f"{kind}: {error}", file=sys.stderr)


for number in range(1, 6):
    for write in [of_words, of_sheets, of_slides, of_open_documents, of_pages, of_pictures]:
        write(number)
