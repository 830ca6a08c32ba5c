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
deltas = {
    "text": "DELTA_BYTE_ARRAY", "url": "DELTA_LENGTH_BYTE_ARRAY", "language": "DELTA_BYTE_ARRAY",
    "id": "DELTA_BINARY_PACKED", "date": "DELTA_BINARY_PACKED", "stamp": "DELTA_BINARY_PACKED",
}
write("delta.parquet", table(), use_dictionary=False, column_encoding=deltas)
write("delta2.parquet", table(), use_dictionary=False, column_encoding=deltas, compression="zstd",
      data_page_version="2.0", write_page_checksum=True)
write("split.parquet", table(), use_dictionary=False, column_encoding={"id": "BYTE_STREAM_SPLIT"})
many = pa.table({
    "text": ["ä" * (i % 70) + str(i) for i in range(1000)],
    "id": pa.array([-2**63 if i == 7 else 2**63 - 1 if i == 8 else (-1)**i * i**6 for i in range(1000)], pa.int64()),
    "lang": ["en"] * 1000,
    "date": pa.array([i * i % 50000 for i in range(1000)], pa.int32()).cast(pa.date32()),
    "url": [f"x:{i // 3}" for i in range(1000)],
})
pq.write_table(many, "deltas.parquet", use_dictionary=False, compression="zstd", column_encoding={
    **{name: deltas[name] for name in ["text", "id", "date", "url"]}, "lang": "DELTA_LENGTH_BYTE_ARRAY",
})
write("required.parquet", pa.table([pa.array(["One", "Two"])], pa.schema([pa.field("text", pa.string(), nullable=False)])))
pairs = [{"de": "Ein Haus", "en": "A house"}, {"de": "Zwei", "en": None}, None, {"de": "Drei", "en": "Three"}]
write("translation.parquet", pa.table({
    "id": ["a", "b", "c", "d"],
    "translation": pa.array(pairs, pa.struct([("de", pa.string()), ("en", pa.string())])),
}))
write("empty.parquet", table().slice(0, 0))
