# Writes golden.tfevents with TensorBoard's own code (tensorboard 2.21):
#   python golden.py > golden.tfevents
import sys

from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.compat.proto.summary_pb2 import HistogramProto
from tensorboard.summary.writer.record_writer import RecordWriter

writer = RecordWriter(sys.stdout.buffer)
writer.write(Event(wall_time=1.5e9, step=7, session_log=SessionLog(status=SessionLog.START)).SerializeToString())

event = Event(wall_time=1500000000.25, step=300)
event.summary.value.add(tag="train/loss", simple_value=2.5)
counts = [0] * 40
for i in 25, 35:
    counts[i] = 1
event.summary.value.add(tag="f", histo=HistogramProto(
    min=0.25, max=0.75, num=2, sum=1, sum_squares=0.625,
    bucket_limit=[-1 + 2 * (i + 1) / 40 for i in range(40)], bucket=counts))
writer.write(event.SerializeToString())
writer.flush()
