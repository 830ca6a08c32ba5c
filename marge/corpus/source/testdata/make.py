"""Makes the fixtures of this folder with libraries that others wrote.

    pip install warcio==1.8.1 && python make.py
"""

import bz2
import gzip
import html
import io
import uuid

from warcio.statusandheaders import StatusAndHeaders
from warcio.warcwriter import WARCWriter

BRIDGE = ("The council has decided to build a new bridge over the river, which will be open to walkers and "
          "cyclists. It will cost four million and be ready in three years.")
BRUECKE = ("Der Rat hat beschlossen, eine neue Brücke über den Fluss zu bauen, die für Fußgänger und Radfahrer "
           "offen ist. Sie kostet vier Millionen und ist in drei Jahren fertig.")
MOST = ("Совет решил построить новый мост через реку, который будет открыт для пешеходов и велосипедистов. "
        "Он будет стоить четыре миллиона и будет готов через три года.")


def page(lang, title, text, meta="<meta charset=utf-8>"):
    nav = "".join(f"<li><a href=/{i}>Section {i}</a></li>" for i in range(9))
    lang = f" lang={lang}" if lang else ""
    return (f"<!DOCTYPE html><html{lang}><head>{meta}<title>{title}</title>"
            '<meta property="article:published_time" content="2019-03-01T10:00:00Z"><script>x()</script></head><body>'
            f"<nav><ul>{nav}</ul></nav><article><h1>{title}</h1>" + f"<p>{text}</p>" * 3 +
            "</article><footer>Imprint</footer></body></html>")


def chunked(data, size=100):
    parts = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + b"0\r\n\r\n"


def archive(name):
    with open(name, "wb") as out:
        w = WARCWriter(out, gzip=name.endswith("gz"))
        count = 0

        def add(kind, body=b"", headers=None, status="200 OK", content_type=None):
            nonlocal count
            http = None
            if headers is not None:
                http = StatusAndHeaders(status, headers, protocol="HTTP/1.1", is_http_request=kind == "request")
            record = w.create_warc_record(
                f"https://example.org/{count}", kind, payload=io.BytesIO(body), http_headers=http,
                warc_content_type=content_type or "",
                warc_headers_dict={"WARC-Date": f"2019-03-{count + 1:02}T01:02:03Z",
                                   "WARC-Record-ID": f"<urn:uuid:{uuid.UUID(int=count)}>"})
            w.write_record(record)
            count += 1

        utf8 = ("Content-Type", "text/html; charset=utf-8")
        add("warcinfo", b"software: make.py\r\n", content_type="application/warc-fields")
        add("response", page("en", "Bridge", BRIDGE).encode(), [utf8])
        add("request", headers=[("Host", "example.org")], status="GET / HTTP/1.1")
        body = chunked(gzip.compress(page("de", "Brücke", BRUECKE).encode(), mtime=0))
        add("response", body, [utf8, ("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")])
        # As Common Crawl keeps it: decoded, with the headers of what was sent.
        add("response", page("", "Brücke", BRUECKE).encode(), [utf8, ("X-Crawl-Content-Encoding", "gzip")])
        add("response", page("de", "Brücke", BRUECKE).encode(), [utf8, ("Content-Encoding", "gzip")])
        add("response", page("ru", "Мост", MOST, "").encode("windows-1251"),
            [("Content-Type", "text/html; charset=windows-1251")])
        add("response", page("ru", "Мост", MOST, "<meta charset=koi8-r>").encode("koi8-r"),
            [("Content-Type", "text/html")])
        add("revisit", b"", [utf8])
        add("response", page("en", "Not Found", BRIDGE).encode(), [utf8], status="404 Not Found")
        add("response", b"\x89PNG\r\n\x1a\n", [("Content-Type", "image/png")])
        add("response", b"\x89PNG\r\n\x1a\n", [])
        add("resource", BRIDGE.encode(), content_type="text/plain")
        add("conversion", MOST.encode(), content_type="text/plain")
        add("metadata", b"fetchTimeMs: 7\r\n", content_type="application/warc-fields")
        add("response", b"\x0b\x02\x80\x03\x01\x02", [utf8, ("Content-Encoding", "br")])
        add("response", b"<p> </p>", [utf8])


archive("pages.warc.gz")
archive("pages.warc")


def wiki_page(number, title, text, ns=0, redirect=False, model="wikitext"):
    redirect = '<redirect title="Fluss" />' if redirect else ""
    return (f"  <page>\n    <title>{html.escape(title)}</title>\n    <ns>{ns}</ns>\n    <id>{number}</id>\n"
            f"    {redirect}\n"
            f"    <revision>\n      <id>{number + 1000}</id>\n      <timestamp>2019-01-01T00:00:00Z</timestamp>\n"
            "      <contributor><username>A</username><id>1</id></contributor><comment>c</comment>\n"
            f"      <model>{model}</model>\n      <format>text/x-wiki</format>\n"
            f'      <text bytes="{len(text.encode())}" xml:space="preserve">{html.escape(text)}</text>\n'
            "      <sha1>x</sha1>\n    </revision>\n  </page>\n")


WIKI_HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="de">
  <siteinfo>
    <sitename>Wiki</sitename>
    <dbname>dewiki</dbname>
    <namespaces>
      <namespace key="-2" case="first-letter">Medium</namespace>
      <namespace key="0" case="first-letter" />
      <namespace key="1" case="first-letter">Diskussion</namespace>
      <namespace key="6" case="first-letter">Datei</namespace>
      <namespace key="14" case="first-letter">Kategorie</namespace>
    </namespaces>
  </siteinfo>
"""


def wiki():
    streams = [
        [wiki_page(1, "Brücke", "{{Infobox|a={{b}}}}\n[[Datei:x.jpg|mini|Eine [[Brücke]]]]\n"
                   "Eine '''Brücke''' führt über einen "
                   "[[Fluss|Fluß]].<ref>Buch & Seite</ref>\n\n== Bau ==\n* [[Stein]]\n* Holz\n\n"
                   "== Belege ==\n<references />\n"
                   "[[Kategorie:Bauwerk]]"),
         wiki_page(2, "Fluß", "#WEITERLEITUNG [[Fluss]]", redirect=True)],
        [wiki_page(3, "Diskussion:Fluss", "Nein", ns=1), wiki_page(4, "Fluss", BRUECKE),
         wiki_page(5, "Modul", "return 1", model="Scribunto"), wiki_page(6, "Leer", "{{x}}")],
        [wiki_page(7, "A & B", "Ein A & ein B <!-- {{ -->und &lt; " + BRUECKE),
         wiki_page(8, "Tief", "{{a|" * 300), wiki_page(9, "Ende", "Das '''Ende'''.")],
    ]
    with open("wiki.xml", "w") as out:
        out.write(WIKI_HEAD + "".join("".join(pages) for pages in streams) + "</mediawiki>\n")
    with open("wiki.xml.bz2", "wb") as out, open("wiki-index.txt", "w") as index:
        out.write(bz2.compress(WIKI_HEAD.encode()))
        number = 0
        for pages in streams:
            for _ in pages:
                number += 1
                index.write(f"{out.tell()}:{number}:Title: {number}\n")
            out.write(bz2.compress("".join(pages).encode()))
        out.write(bz2.compress(b"</mediawiki>\n"))
    with open("wiki-index.txt", "rb") as index, open("wiki-index.txt.bz2", "wb") as out:
        out.write(bz2.compress(index.read()))
    # Two long pages of little, between two others.
    with open("wiki-bomb.xml.bz2", "wb") as out:
        z = bz2.BZ2Compressor()
        out.write(z.compress((WIKI_HEAD + wiki_page(1, "A", "Eins")).encode()))
        for number in 2, 3:
            begin, end = wiki_page(number, "B", "|").encode().split(b"|")
            out.write(z.compress(begin))
            for _ in range(100):
                out.write(z.compress(b"a" * (1 << 20)))
            out.write(z.compress(end))
        out.write(z.compress((wiki_page(4, "C", "Vier") + "</mediawiki>").encode()))
        out.write(z.flush())


wiki()
