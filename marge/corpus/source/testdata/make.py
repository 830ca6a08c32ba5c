"""Makes the fixtures of this folder with libraries that others wrote.

    pip install warcio==1.8.1 && python make.py
"""

import gzip
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

        html = ("Content-Type", "text/html; charset=utf-8")
        add("warcinfo", b"software: make.py\r\n", content_type="application/warc-fields")
        add("response", page("en", "Bridge", BRIDGE).encode(), [html])
        add("request", headers=[("Host", "example.org")], status="GET / HTTP/1.1")
        body = chunked(gzip.compress(page("de", "Brücke", BRUECKE).encode(), mtime=0))
        add("response", body, [html, ("Content-Encoding", "gzip"), ("Transfer-Encoding", "chunked")])
        # As Common Crawl keeps it: decoded, with the headers of what was sent.
        add("response", page("", "Brücke", BRUECKE).encode(), [html, ("X-Crawl-Content-Encoding", "gzip")])
        add("response", page("de", "Brücke", BRUECKE).encode(), [html, ("Content-Encoding", "gzip")])
        add("response", page("ru", "Мост", MOST, "").encode("windows-1251"),
            [("Content-Type", "text/html; charset=windows-1251")])
        add("response", page("ru", "Мост", MOST, "<meta charset=koi8-r>").encode("koi8-r"), [("Content-Type", "text/html")])
        add("revisit", b"", [html])
        add("response", page("en", "Not Found", BRIDGE).encode(), [html], status="404 Not Found")
        add("response", b"\x89PNG\r\n\x1a\n", [("Content-Type", "image/png")])
        add("response", b"\x89PNG\r\n\x1a\n", [])
        add("resource", BRIDGE.encode(), content_type="text/plain")
        add("conversion", MOST.encode(), content_type="text/plain")
        add("metadata", b"fetchTimeMs: 7\r\n", content_type="application/warc-fields")
        add("response", b"\x0b\x02\x80\x03\x01\x02", [html, ("Content-Encoding", "br")])
        add("response", b"<p> </p>", [html])


archive("pages.warc.gz")
archive("pages.warc")
