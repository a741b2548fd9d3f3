# shellcheck shell=bash
# What the templates share. They source it on the first node of a job, in the directory that sbatch
# was called in: the repository's root.

trap '' USR1  # until there is a program to tell, which also learns from Slurm when the job ends

say() { echo "slurm: $*"; }

# What differs between sites; sites/example.env explains each.
if [[ -n ${NTK_SITE:-} ]]; then
  set +u  # modules may use unset variables
  # shellcheck source=slurm/sites/example.env
  source "slurm/sites/$NTK_SITE.env" || exit 2
  set -u
fi
: "${NTK_PROGRAM:=build/release/ntk}" "${NTK_LAUNCHER:=srun}" "${NTK_MPI:=pmix}"
: "${NTK_MAX_REQUEUES:=20}" "${NTK_SCRATCH:=}"

cpus=${SLURM_CPUS_PER_TASK:-1}  # srun does not take it from sbatch (Slurm 22.05 and later)
# One task of an array may have the array's own number, which stands for all of its tasks.
id=${SLURM_ARRAY_JOB_ID:+${SLURM_ARRAY_JOB_ID}_}${SLURM_ARRAY_TASK_ID:-${SLURM_JOB_ID:-}}
gpus=${SLURM_GPUS_ON_NODE:-${SLURM_GPUS_PER_NODE:-${SLURM_JOB_GPUS:-}}}

# memory_limit: 80 % of a rank's share of the job's memory limit, in GiB; nothing without a limit.
# The program sees that limit only where a control group enforces it, which not all sites do.
# Slurm sets one of two variables: memory a CPU, or a node (sbatch --mem=...), 0 for all of it.
memory_limit() {
  local ranks=${SLURM_NTASKS_PER_NODE:-${SLURM_TASKS_PER_NODE:-1}} mib
  ranks=${ranks%%[(,]*}  # of "16(x2),4" those of the first nodes
  if [[ ${SLURM_MEM_PER_CPU:-0} -gt 0 ]]; then
    mib=$((SLURM_MEM_PER_CPU * cpus))
  else
    mib=$((${SLURM_MEM_PER_NODE:-0} / ranks))
  fi
  [[ $mib -eq 0 ]] || awk -v mib="$mib" 'BEGIN { printf "%.2f", 0.8 * mib / 1024 }'
}

# launch ARGUMENT...: the program on all ranks of the job. Returns its exit code, srun's or mpirun's
# own where they fail.
#
# Signals: Slurm sends USR1 to this shell alone (--signal=B:), and from here it goes to the launcher,
# which passes it on to every rank. TERM (scancel, preemption) reaches the ranks without our doing:
# a second one would make srun and mpirun kill them, so this shell only waits for their end.
launch() {
  local start code child=''
  if [[ $NTK_LAUNCHER == srun ]]; then
    start=(srun --mpi="$NTK_MPI" --cpus-per-task="$cpus")
    # Every rank sees the node's GPUs and takes the one with its own number.
    [[ -z $gpus ]] || start+=(--gpu-bind=none)
  else
    # scancel's TERM reaches mpirun too, which kills its ranks a second later: too soon to end in
    # order. It takes twice this time to end, and must do so within Slurm's KillWait, 30 s.
    export OMPI_MCA_odls_base_sigkill_timeout=10
    start=(mpirun --bind-to none)
    [[ -z ${SLURM_NTASKS:-} ]] || start+=(-n "$SLURM_NTASKS")
  fi
  trap 'again=1; say "USR1: the program is asked to stop"; kill -USR1 ${child:+"$child"} || true' USR1
  trap 'again=1' TERM
  "${start[@]}" "$NTK_PROGRAM" "$@" &
  child=$!
  while again=0; do
    code=0
    wait "$child" || code=$?
    [[ $again -eq 1 ]] || break  # else the code is that of the interrupted wait
  done
  trap '' USR1
  trap - TERM
  return "$code"
}

# value FILE NAME: one value of a summary, nothing when it is not there.
value() {
  local text
  if text=$("$NTK_PROGRAM" inspect "$1" --get "$2" 2>/dev/null); then echo "$text"; fi
}

# preempted: whether Slurm takes the nodes for another job, after a grace time. Its TERM is the same as
# scancel's, which leaves no time of a preemption in the job's record.
preempted() { [[ $(scontrol -o show job "$id" 2>/dev/null) =~ [[:space:]]PreemptTime=[0-9] ]]; }

# requeue SUMMARY BEFORE: puts this job back into the queue, if that is of use. BEFORE: tiles in the
# journal when it started.
requeue() {
  local summary=$1 before=$2 reason units idle=0 job='' note
  reason=$(value "$summary" stop.reason)
  if [[ $reason == "signal SIGTERM" ]] && preempted; then reason=preemption; fi
  case $reason in
    "signal SIGUSR1" | "end of the Slurm job" | run.max_hours) ;;
    preemption) ;;  # a job that ends within the grace time Slurm does not put back itself
    *)  # somebody's wish
      say "not queued again: ${reason:+the program was stopped by }${reason:-no limit was reached}"
      return
      ;;
  esac
  if [[ ${SLURM_RESTART_COUNT:-0} -ge $NTK_MAX_REQUEUES ]]; then
    say "not queued again: this was start $((SLURM_RESTART_COUNT + 1)) (NTK_MAX_REQUEUES)"
    return
  fi
  # Starts in a row that brought nothing. One may be bad luck, say a preemption after a minute.
  note=${summary%.json}.requeue
  [[ ! -f $note ]] || read -r job idle <"$note" || true
  [[ $job == "$id" ]] || idle=0
  units=$(value "$summary" kernel.units_done)
  if [[ ${units:-0} -gt $before ]]; then idle=0; else idle=$((idle + 1)); fi
  { echo "$id $idle" >"$note"; } 2>/dev/null ||
    say "starts without progress are not counted: $note cannot be written"
  if [[ $idle -ge 2 ]]; then
    say "not queued again: $idle starts in a row without a new tile in the journal." \
      "Give a start more time, or lower kernel.tile_samples"
    return
  fi
  say "queued again ($reason; tiles in the journal: $before, now ${units:-0})"
  scontrol requeue "$id" || say "Slurm refuses: submit the same line again"
}

# run_ntk [VERB] JOB.toml [OPTION...]: `ntk VERB` (run, if none is named) on the job's ranks. Ends
# this shell with its exit code; with 85 the job may come back.
run_ntk() {
  local verb=run job directory summary before earlier own_code limit code=0 settings=() ask own=() last=()
  local word option='' share=''
  case ${1:-} in
    run | kernel | spectrum | theory | merge)
      verb=$1
      shift
      ;;
  esac
  if [[ $# -eq 0 ]]; then
    echo "no job file (the arguments are [VERB] JOB.toml [--set section.key=value ...])" \
      "name one, as in: sbatch slurm/cpu.sbatch jobs/movies.toml" >&2
    exit 2
  fi
  job=$1
  shift

  for word in "$@"; do  # which of the options change the job, and which file is made
    case $word in
      --set=*) settings+=("$word") ;;
      --share=*) share=${word#*=} ;;
      -*) option=$word ;;
      *)
        case $option in
          --set) settings+=(--set "$word") ;;
          --share) share=$word ;;
        esac
        ;;
    esac
  done
  ask=("$NTK_PROGRAM" job "$job" "${settings[@]}" --get)
  directory=$("${ask[@]}" run.directory) || code=$?
  if [[ $code -ne 0 ]]; then
    [[ -z $directory ]] || echo "$directory"  # the STATUS line
    exit "$code"
  fi
  if [[ -n $NTK_SCRATCH && $directory != /* ]]; then
    directory=$NTK_SCRATCH/$directory
    last=(--set "run.directory=$directory")
  fi
  if [[ -n $gpus ]]; then
    own+=(--set kernel.device=cuda)  # and a memory limit that is the GPU's
  else
    limit=$(memory_limit)
    if [[ -n $limit && $("${ask[@]}" kernel.memory_gib) == 0 ]]; then  # the program's to choose
      own+=(--set "kernel.memory_gib=$limit")
    fi
  fi

  summary=$directory/summary.json
  [[ -z $share ]] || summary=$directory/share-${share/\//-of-}.json
  before=$(value "$summary" kernel.units_done)
  earlier=$(value "$summary" ended)
  launch "$verb" "$job" "${own[@]}" "$@" "${last[@]}" || code=$?
  # When one rank ends by itself (a failure, a stop by force), srun kills the others and gives that as
  # the code. The program's is in its summary, if this start has written one.
  if [[ $code -gt 128 && $(value "$summary" ended) != "$earlier" ]]; then
    own_code=$(value "$summary" exit_code)
    code=${own_code:-$code}
  fi
  [[ $code -ne 85 ]] || requeue "$summary" "${before:-0}"
  exit "$code"
}
