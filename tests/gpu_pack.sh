#!/bin/bash
# Packs built programs with the shared libraries that they load into one folder, to be run on a GPU
# machine that has the CUDA toolkit, NCCL and a driver, and nothing else of what we build with.
#
#     tests/gpu_pack.sh FOLDER PROGRAM...
#
# There: source FOLDER/env.sh, wherever the folder then stands. What belongs to the machine (glibc,
# the C++ runtime, CUDA, NCCL) is not packed.
set -euo pipefail
[ $# -ge 2 ] || {
    sed -n '2,8p' "$0" >&2
    exit 2
}
folder=$1
shift
system=/usr/lib/$(gcc -print-multiarch)
mkdir -p "$folder"/{bin,lib/openmpi,lib/pmix2/lib/pmix,share}
cp -L "$@" "$(command -v mpirun)" "$(command -v orted)" "$folder/bin/"
for program in "$@"; do strip "$folder/bin/$(basename "$program")"; done
cp -rL /usr/share/openmpi "$folder/share/"
# Of the plugins, those that ranks on one node need: each fabric's would pull in its own stack.
for plugin in "$system"/openmpi/lib/openmpi3/mca_*.so; do
    case $(basename "$plugin") in
    *ucx* | *ofi* | *psm* | *verbs* | *openib* | *usnic* | *portals* | *libfabric*) ;;
    *) cp -L "$plugin" "$folder/lib/openmpi/" ;;
    esac
done
cp -L "$system"/pmix2/lib/pmix/*.so "$folder/lib/pmix2/lib/pmix/"

theirs='/(ld-linux[^/]*|lib(c|m|dl|rt|pthread|resolv|util|stdc\+\+|gcc_s|cuda|cudart|nccl|cublas|cublasLt|nvidia-ml))\.so'
ldd "$folder"/bin/* "$folder"/lib/openmpi/*.so "$folder"/lib/pmix2/lib/pmix/*.so "$system/libmpi.so.40" 2>/dev/null |
    awk '$3 ~ /^\// { print $3 }' | sort -u | { grep -vE "$theirs" || true; } |
    while read -r library; do cp -L "$library" "$folder/lib/"; done

cat >"$folder/env.sh" <<'ENV'
packed=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
export PATH=$packed/bin:$PATH
export LD_LIBRARY_PATH=$packed/lib:/usr/local/cuda/lib64${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
export OPAL_PREFIX=$packed OPAL_LIBDIR=$packed/lib PMIX_INSTALL_PREFIX=$packed
export OMPI_MCA_mca_base_component_path=$packed/lib/openmpi
export PMIX_LIBDIR=$packed/lib/pmix2/lib PMIX_MCA_mca_base_component_path=$packed/lib/pmix2/lib/pmix
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
chmod +x "$packed"/bin/*
ENV
du -sh "$folder" | cut -f1
