#!/bin/sh
# One record for each node of a Slurm cluster: gather.sh NODES [FOLDER]
#
#   sh gather.sh 4 records
#   selfhost audit audit.toml --machines records
#
# Each node writes its own file, so that no two records mix. SELFHOST names the program on the nodes.
# Inside a job the job's own memory limit is read, if the cluster sets one: --mem=0 asks for all.
set -eu
nodes=$1
folder=${2:-records}
mkdir -p "$folder"
exec srun --nodes="$nodes" --ntasks-per-node=1 --mem=0 --output="$folder/node-%t.json" \
  sh -c 'exec "${SELFHOST:-selfhost}" machine --format json --name "$SLURMD_NODENAME"'
