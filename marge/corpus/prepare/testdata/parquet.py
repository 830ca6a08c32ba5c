"""Makes the fixtures of this folder with Apache Arrow.

    pip install pyarrow==26.0.1 && python parquet.py
"""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq

TEXTS = ["One house.", "Zwei Häuser.", None, "", "Пять домов", "One house.", "Seven " * 20, "Acht", "Nine", "Ten"] * 3


def table():
    n = len(TEXTS)
    day = datetime.date(2020, 2, 28)
    return pa.table({
        "text": pa.array(TEXTS, pa.string()),
        "id": pa.array([7 * i if i % 5 else None for i in range(n)], pa.int64()),
        "language": pa.array((["en", "de", None, "ru", "x y"] * n)[:n], pa.string()),
        "date": pa.array([day + datetime.timedelta(i) for i in range(n)], pa.date32()),
        "url": pa.array([f"http://x.test/{i}" for i in range(n)], pa.large_string()),
        "title": pa.array(["Title" if i % 3 == 0 else "" for i in range(n)], pa.string()),
        "stamp": pa.array([datetime.datetime(1969, 12, 31, 1) + datetime.timedelta(hours=12 * i) for i in range(n)],
                          pa.timestamp("us")),
        "tags": pa.array([["a", "b"]] * n, pa.list_(pa.string())),
        "score": pa.array([0.5] * n, pa.float64()),
    })


def write(name, t, **options):
    pq.write_table(t, name, row_group_size=12, data_page_size=100, **options)


for codec in ["none", "snappy", "gzip", "zstd", "lz4", "brotli"]:
    write(f"{codec}.parquet", table(), compression=codec)
write("plain.parquet", table(), compression="none", use_dictionary=False)
write("checksum.parquet", table(), compression="zstd", write_page_checksum=True)
write("v2.parquet", table(), compression="snappy", data_page_version="2.0", write_page_checksum=True)
write("delta.parquet", table(), use_dictionary=False, column_encoding={"text": "DELTA_BYTE_ARRAY"})
write("required.parquet", pa.table([pa.array(["One", "Two"])], pa.schema([pa.field("text", pa.string(), nullable=False)])))
pairs = [{"de": "Ein Haus", "en": "A house"}, {"de": "Zwei", "en": None}, None, {"de": "Drei", "en": "Three"}]
write("translation.parquet", pa.table({
    "id": ["a", "b", "c", "d"],
    "translation": pa.array(pairs, pa.struct([("de", pa.string()), ("en", pa.string())])),
}))
write("empty.parquet", table().slice(0, 0))
