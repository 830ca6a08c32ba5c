"""Prepares a corpus on Spark, with the result of `prepare -out DIR INPUT...` on one machine.

    go build -o /shared/bin/prepare ./cmd/prepare
    spark-submit --master spark://host:7077 spark/prepare.py \
        --prepare /shared/bin/prepare --out /shared/corpus --partitions 200 /shared/crawl/*.warc.gz

Spark moves and sorts lines; what is done with them is done by `prepare step NAME`, which reads standard
input and writes standard output (see Pipe in the Go package). The program, the inputs and the directory
of the corpus must have the same paths on all machines. IDs of text files are their absolute paths. A task
that fails is run again by Spark, and writes the same bytes. The corpus is complete when this program ends without
an error.

Needs pyspark (tested with 3.5.9) and Java 17.
"""

import argparse
import json
import os
import shlex
import sys
import zlib

from pyspark import SparkConf, SparkContext, StorageLevel


def group(line):
    """Lines with the same first field of their keys belong together. Hashes of Python differ by process."""
    return zlib.crc32(line.split("\t", 1)[0].split(" ", 1)[0].encode())


def main():
    parser = argparse.ArgumentParser(description="Prepares a corpus on Spark.")
    parser.add_argument("--prepare", required=True, help="path of the program prepare, on all machines")
    parser.add_argument("--out", required=True, help="directory of the corpus, on all machines")
    parser.add_argument("--partitions", type=int, default=64, help="parts that records are divided into")
    for name in ["languages", "lang", "groups", "max-shard"]:
        parser.add_argument("--" + name, help="as of prepare")
    parser.add_argument("inputs", nargs="+", help="files to read; a folder is one task")
    args = parser.parse_args()

    out = os.path.abspath(args.out)
    shards, parts_file = os.path.join(out, "shards"), os.path.join(out, "parts")
    os.makedirs(shards)  # an error if there is a corpus already
    flags = []
    for name in ["languages", "lang", "groups", "max-shard"]:
        value = getattr(args, name.replace("-", "_"))
        if value is not None:
            flags += ["-" + name, value]

    sc = SparkContext(conf=SparkConf().setIfMissing("spark.app.name", "prepare"))

    def pipe(lines, *steps):
        """Pipes lines through steps, each a name and flags. Without checkCode a program that fails is not noticed."""
        for step in steps:
            command = [os.path.abspath(args.prepare), "step", *step, *flags]
            lines = lines.pipe(shlex.join(command), checkCode=True)
        return lines

    def regroup(lines):
        """Divides lines so that those of a group are in one partition, and sorts them there."""
        pairs = lines.map(lambda line: (line, None))
        return pairs.repartitionAndSortWithinPartitions(args.partitions, group).keys()

    def keep(lines):
        return lines.persist(StorageLevel.DISK_ONLY)

    paths = sc.parallelize([os.path.abspath(path) for path in args.inputs], len(args.inputs))
    documents = pipe(paths, ["read"], ["normalise"], ["language"], ["quality"], ["key"])
    documents = keep(pipe(regroup(documents), ["ids"]))
    exact = pipe(regroup(pipe(documents, ["hash"])), ["exact"])
    unique = keep(pipe(regroup(documents.union(exact)), ["drop"]))
    near = pipe(regroup(pipe(unique, ["minhash"])), ["near"])
    parts = pipe(regroup(pipe(unique, ["sizes"])), ["parts"]).collect()  # few: of large shards only
    with open(parts_file, "w", encoding="ascii") as f:
        f.writelines(line + "\n" for line in parts)
    kept = pipe(regroup(unique.union(near)), ["drop"])
    sharded = regroup(pipe(kept, ["shard", "-parts", parts_file]))
    written = [json.loads(line) for line in pipe(sharded, ["write", "-out", shards]).collect()]
    os.remove(parts_file)
    documents_written = sum(shard["documents"] for shard in written)
    characters = sum(shard["characters"] for shard in written)
    print(f"{documents_written} documents, {characters} characters in {len(written)} shards", file=sys.stderr)
    sc.stop()


if __name__ == "__main__":
    main()
