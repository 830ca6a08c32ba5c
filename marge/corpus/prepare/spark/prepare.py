"""Prepares a corpus on Spark, with the result of `prepare -out DIR INPUT...` on one machine.

    go build -o /shared/bin/prepare ./cmd/prepare
    spark-submit --master spark://host:7077 spark/prepare.py \
        --prepare /shared/bin/prepare --out /shared/corpus --partitions 200 /shared/crawl/*.warc.gz

With a model that was trained on the corpus, it makes an index of the corpus, the result of
`prepare index -out INDEX -checkpoint RUN DIR/shards`:

    spark-submit --master spark://host:7077 spark/prepare.py \
        --prepare /shared/bin/prepare --out /shared/corpus --checkpoint /shared/run --index /shared/index

Spark moves and sorts lines; what is done with them is done by `prepare step NAME`, which reads standard
input and writes standard output (see Pipe in the Go package). The program, the inputs and the directories
of the corpus and the index must have the same paths on all machines. So must the checkpoint; a relative path
is one in the working directories of the driver and of the executors, where Spark unpacks `--archives run.zip#run`.
IDs of text files are their absolute paths. A task that fails is run again by Spark, and writes the same bytes.
Corpus and index are complete when this program ends without an error. An index that was interrupted goes on with
the same command.

Needs pyspark (tested with 3.5.9) and Java 17.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import zlib

from pyspark import SparkConf, SparkContext, StorageLevel

CORPUS_FLAGS = ["languages", "lang", "groups", "max-shard"]
INDEX_FLAGS = ["chunk", "max-chunks", "mono", "cross", "per-target"]


def group(line):
    """Lines with the same first field of their keys belong together. Hashes of Python differ by process."""
    return zlib.crc32(line.split("\t", 1)[0].split(" ", 1)[0].encode())


class Steps:
    """Lines through steps of the program."""

    def __init__(self, args, flags):
        self.program, self.partitions = os.path.abspath(args.prepare), args.partitions
        self.flags = []
        for name in flags:
            value = getattr(args, name.replace("-", "_"))
            if value is not None:
                self.flags.append(f"-{name}={value}")

    def pipe(self, lines, *steps):
        """Pipes lines through steps, each a name and flags. Without checkCode a program that fails is not noticed."""
        for step in steps:
            command = [self.program, "step", *step, *self.flags]
            lines = lines.pipe(shlex.join(command), checkCode=True)
        return lines

    def regroup(self, lines):
        """Divides lines so that those of a group are in one partition, and sorts them there."""
        pairs = lines.map(lambda line: (line, None))
        return pairs.repartitionAndSortWithinPartitions(self.partitions, group).keys()


def make_corpus(sc, args, out, shards):
    steps, parts_file = Steps(args, CORPUS_FLAGS), os.path.join(out, "parts")
    pipe, regroup = steps.pipe, steps.regroup
    os.makedirs(shards)  # an error if there is a corpus already

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


def make_index(sc, args, shards):
    """Encodes and links the shards in tasks; `prepare index` makes the index of the files that these leave, here."""
    index, threads = os.path.abspath(args.index), sc.getConf().get("spark.task.cpus", "1")
    steps = Steps(args, INDEX_FLAGS)
    if not os.path.exists(os.path.join(index, "index.json")):  # else it is complete
        means_file = os.path.join(index, ".work", "means")
        os.makedirs(os.path.dirname(means_file), exist_ok=True)
        files = sorted(os.path.join(shards, name) for name in os.listdir(shards) if name.endswith(".jsonl.zst"))
        paths = sc.parallelize(files, max(1, min(len(files), args.partitions)))  # a partition loads the model once
        place = ["-out", index, "-threads", threads]
        sums = steps.pipe(paths, ["encode", *place, "-checkpoint", args.checkpoint])
        means = steps.pipe(steps.regroup(sums), ["means"]).collect()  # few: a line a language
        with open(means_file, "w", encoding="ascii") as f:
            f.writelines(line + "\n" for line in means)
        steps.pipe(paths, ["link", *place, "-means", means_file]).count()
    merge = [steps.program, "index", "-out", index, "-checkpoint", args.checkpoint, *steps.flags]
    if args.vectors is not None:
        merge.append(f"-vectors={args.vectors}")
    subprocess.run([*merge, shards], check=True, stdout=sys.stderr)


def main():
    parser = argparse.ArgumentParser(description="Prepares a corpus, or an index of one, on Spark.")
    parser.add_argument("--prepare", required=True, help="path of the program prepare, on all machines")
    parser.add_argument("--out", required=True, help="directory of the corpus, on all machines")
    parser.add_argument("--partitions", type=int, default=64, help="parts that records are divided into")
    parser.add_argument("--checkpoint", help="directory of a trained model, for an index")
    parser.add_argument("--index", help="directory of the index, on all machines")
    for name in [*CORPUS_FLAGS, *INDEX_FLAGS, "vectors"]:
        parser.add_argument("--" + name, help="as of prepare")
    parser.add_argument("inputs", nargs="*", help="files to read; a folder is one task")
    args = parser.parse_args()
    if (args.index is None) != (args.checkpoint is None):
        parser.error("--index needs --checkpoint, and the other way round")
    if not args.inputs and args.index is None:
        parser.error("neither inputs nor --index are given")

    out = os.path.abspath(args.out)
    shards = os.path.join(out, "shards")
    sc = SparkContext(conf=SparkConf().setIfMissing("spark.app.name", "prepare"))
    if args.inputs:
        make_corpus(sc, args, out, shards)
    if args.index is not None:
        make_index(sc, args, shards)
    sc.stop()


if __name__ == "__main__":
    main()
