"""Files that are no image of a kind that is read: by their content, what they are."""

from __future__ import annotations

__all__ = ["UNREAD_SUFFIXES", "name_of"]

# How files of image formats that are not read end: in a folder of images, one of these may be an image that is lost.
_UNREAD = """
    3fr apng arw avif cr2 cr3 crw dcm dib dng emf eps exr gif hdr heic heif hif j2c j2k jif jng jp2 jpf jph jpx jxl jxr
    mng nef nrw orf pam pbm pcx pef pfm pgm pnm ppm psb psd raf raw rw2 sgi srw svg tga wdp wmf xcf xpm
"""
UNREAD_SUFFIXES = tuple(f".{ending}" for ending in _UNREAD.split())

# The first bytes of a file; the longer ones of two that begin alike come first.
_BEGINNINGS = (
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 file"),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 codestream"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL file"),
    (b"\xff\x0a", "a JPEG XL codestream"),
    (b"II\xbc\x01", "a JPEG XR file"),
    (b"GIF87a", "a GIF file"),
    (b"GIF89a", "a GIF file"),
    (b"%PDF", "a PDF file"),
    (b"8BPS", "a Photoshop file"),
    (b"gimp xcf", "a GIMP file"),
    (b"\x76\x2f\x31\x01", "an OpenEXR file"),
    (b"#?RADIANCE", "a Radiance HDR file"),
    (b"DDS ", "a DDS file"),
    (b"SIMPLE  =", "a FITS file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"FUJIFILMCCD-RAW", "a camera's raw file"),
    (b"IIRO", "a camera's raw file"),
    (b"IIRS", "a camera's raw file"),
    (b"IIU\0", "a camera's raw file"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"\xd0\xcf\x11\xe0", "an Office document"),
    (b"version https://git-lfs", "a Git LFS pointer, and not the file itself"),
)
# The brand of an ISO media file.
_BRANDS = {
    b"avif": "an AVIF file",
    b"avis": "an AVIF file",
    b"heic": "a HEIC file",
    b"heix": "a HEIC file",
    b"heim": "a HEIC file",
    b"heis": "a HEIC file",
    b"hevc": "a HEIC file",
    b"hevx": "a HEIC file",
    b"mif1": "a HEIF file",
    b"msf1": "a HEIF file",
    b"crx ": "a camera's raw file",
}
_MARKUP = ((b"<svg", "an SVG file"), (b"<!doctype html", "an HTML page"), (b"<html", "an HTML page"))


def name_of(data: bytes) -> str | None:
    """What the file is, with its article; None where it is not known.

    Args:
        data: The whole file, or its first kilobyte.
    """
    for beginning, name in _BEGINNINGS:
        if data.startswith(beginning):
            return name
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "a video file")
    if data[:4] == b"RIFF" and data[8:12] == b"AVI ":
        return "a video file"
    if data[:1] == b"P" and data[1:2] in b"1234567Ff" and data[2:3].isspace():
        return "a PNM file (PBM, PGM, PPM)"
    if data[128:132] == b"DICM":
        return "a DICOM file"
    beginning = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if beginning.startswith(b"<"):
        return next((name for mark, name in _MARKUP if mark in beginning), "an XML file")
    return None
