#!/bin/bash
# Trains on Open MPI and checks that the result does not depend on the number of
# ranks, on a rank that is killed, or on which machine a rank runs; and that a
# silent rank, a cut cable and a lost machine end the training.
#
#   mpi.sh FOLDER     an empty folder for what it makes
#
# Needs Open MPI (Debian: openmpi-bin libopenmpi-dev pkg-config) and gcc. The ranks of
# two machines run in two network namespaces, where this user may make them (with
# iproute2); else that part says that it was left out.
set -euo pipefail
[ $# -eq 1 ] || { echo "usage: $0 FOLDER" >&2; exit 2; }
cd "$(dirname "$(realpath "$0")")/.."
work=$(realpath "$1")
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
# Up to four ranks share the cores: each has one thread, and gives way while it waits.
export OMPI_MCA_mpi_yield_when_idle=1 GOMAXPROCS=1
steps=30 limit=120 # seconds of a training: mpirun itself may hang

go build -tags mpi -o "$work/pretrain" ./examples/pretrain
cd "$work"

# Two languages' numbers, in four shards.
awk 'BEGIN {
  split("zero one two three four five six seven eight nine", en)
  split("null eins zwei drei vier acht neun zehn elf elfte", de)
  for (event = 0; event < 48; event++) for (lang = 0; lang < 2; lang++) {
    digits = event * 7919 + 1000000007 ""
    text = ""
    for (i = 1; i <= length(digits); i++) { d = substr(digits, i, 1) + 1; text = text " " (lang ? de[d] : en[d]) }
    printf "{\"id\":\"%d/%d\",\"lang\":\"%s\",\"date\":\"2026-01-0%d\",\"text\":\"%s\"}\n", \
      event, lang, lang ? "de" : "en", event % 4 + 1, substr(text, 2)
  }
}' > corpus.jsonl

flags=(-corpus corpus.jsonl -steps $steps -replicas 4 -batch-tokens 128 -index-every 12 -tfidf-steps 8 -probes 0
  -checkpoint-every 3 -dist mpi)

# A rank leaves its process number for those who want to kill it.
cat > rank.sh <<'RANK'
#!/bin/bash
echo $$ > "pid.$OMPI_COMM_WORLD_RANK"
exec ./pretrain "$@"
RANK
chmod +x rank.sh

# ranks N FLAGS... trains on N ranks.
ranks() {
  local n=$1
  shift
  timeout $limit mpirun --oversubscribe --bind-to none -np "$n" ./rank.sh "${flags[@]}" "$@"
}

result() { sha256sum < "$1/checkpoint-$steps/model.safetensors"; }

# same FOLDER WHAT compares a result with that of one rank.
same() {
  if [ "$(result "$1")" != "$(result one)" ]; then
    echo "$2: model.safetensors is another one than that of one rank"
    return 1
  fi
  echo "$2: the same model.safetensors as that of one rank"
}

# shown COMMAND... hides the output of a command unless it fails.
shown() { "$@" > log 2>&1 || { cat log; return 1; }; }

# at_step FOLDER STEP waits for a checkpoint of a training that runs as job $!.
at_step() {
  local job=$!
  until [ -e "$1/checkpoint-$2" ]; do
    kill -0 $job 2> /dev/null || { cat log; echo "the training ended before step $2"; return 1; }
    sleep 0.02
  done
}

shown ranks 1 -out one
for n in 2 4; do
  shown ranks $n -out "out$n"
  same "out$n" "$n ranks"
done

step=$((3 * (1 + RANDOM % 5))) victim=$((RANDOM % 2))
ranks 2 -out killed > log 2>&1 &
at_step killed $step
kill -KILL "$(cat pid.$victim)"
if wait $!; then echo 'mpirun takes the loss of a rank for success'; exit 1; fi
shown ranks 4 -out killed -resume
same killed "rank $victim of 2 killed after step $step, resumed on 4 ranks"

ranks 2 -out silent -dist-deadline 3s > log 2>&1 &
at_step silent 3
kill -STOP "$(cat pid.1)"
if wait $!; then echo 'mpirun takes a silent rank for success'; exit 1; fi
grep -o 'rank 0 has heard nothing from rank 1 for 3s' log | head -n 1 || { cat log; exit 1; }

# Two machines: namespaces joined by a cable.
a=marge_a$$ b=marge_b$$ v=$$
tidy() {
  local space process
  for space in $a $b; do
    for process in $(ip netns pids $space 2> /dev/null); do kill -KILL "$process" 2> /dev/null || :; done
    ip netns del $space 2> /dev/null || :
  done
}
trap tidy EXIT
if ! type ip unshare > /dev/null 2>&1 || ! ip netns add $a 2> /dev/null || ! ip netns add $b; then
  echo 'two machines: left out: this user may not make network namespaces'
  exit 0
fi
ip link add va$v netns $a type veth peer name vb$v netns $b
ip -n $a addr add 10.99.0.1/24 dev va$v
ip -n $b addr add 10.99.0.2/24 dev vb$v
for link in "$a lo" "$b lo" "$a va$v" "$b vb$v"; do ip -n ${link% *} link set ${link#* } up; done
# In place of ssh: agent HOST COMMAND...
cat > agent <<AGENT
#!/bin/bash
host=\$1
shift
case \$host in 10.99.0.1) space=$a ;; *) space=$b ;; esac
exec ip netns exec \$space unshare -u bash -c "hostname node-\${host##*.}; \$*"
AGENT
chmod +x agent
network=(--mca btl tcp,self --mca oob_tcp_if_include 10.99.0.0/24 --mca btl_tcp_if_include 10.99.0.0/24)

# machines FLAGS... trains on two.
machines() {
  ip netns exec $a unshare -u bash -c 'hostname node-1; exec "$@"' - timeout $limit mpirun --bind-to none \
    --mca plm_rsh_agent "$work/agent" "${network[@]}" --host 10.99.0.1,10.99.0.2 -np 2 --wdir "$work" \
    ./rank.sh "${flags[@]}" "$@"
}

# gone WHAT waits until both ranks have ended. mpirun may be left; it is killed.
gone() {
  local end=$((SECONDS + 60)) rank
  for rank in 0 1; do
    while kill -0 "$(cat pid.$rank)" 2> /dev/null; do
      [ $SECONDS -lt $end ] || { cat log; echo "$1: rank $rank goes on"; return 1; }
      sleep 0.1
    done
  done
  echo "$1: both ranks have ended"
  for rank in $a $b; do
    for process in $(ip netns pids $rank); do kill -KILL "$process" 2> /dev/null || :; done
  done
}

shown machines -out two
same two 'ranks on two machines'

machines -out cut -dist-deadline 3s > log 2>&1 &
at_step cut 3
ip -n $b link set vb$v down
gone 'a cable is cut'
wait $! || :
ip -n $b link set vb$v up

machines -out lost -dist-deadline 3s > log 2>&1 &
at_step lost 3
kill -KILL "$(ps -o ppid= -p "$(cat pid.1)" | tr -d ' ')"
gone 'the daemon of a machine is killed'
wait $! || :
