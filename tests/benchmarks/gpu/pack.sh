#!/usr/bin/env bash
# tests/gpu.sh --pack [FILE]: builds for compute capability 9.0 and any x86-64-v3 processor, and
# packs programs, fixtures and every library but those of glibc and CUDA.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../../.."
file=$(realpath -m "${1:-build/ntkspectra-gpu.tar.xz}")
most=60000000  # bytes
build=build/gpu-pack folder=build/gpu-folder/ntkspectra-gpu

launcher=()
if command -v ccache >/dev/null; then
  launcher=(-DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DCMAKE_CUDA_COMPILER_LAUNCHER=ccache)
fi
mapfile -t modules < <(sed -n 's/^set(NTK_GPU_MODULES \(.*\))$/\1/p' tests/CMakeLists.txt |
  tr ' ' '\n')
programs=(ntk device_rates random_study "${modules[@]/%/_tests}")
cmake -S . -B "$build" -DCMAKE_BUILD_TYPE=Release -DNTK_CUDA=ON -DCMAKE_CUDA_ARCHITECTURES=90-real \
  -DNTK_ARCH=x86-64-v3 "${launcher[@]}" >"$build.log" 2>&1 || { cat "$build.log" && exit 1; }
cmake --build "$build" -j "${NTK_GPU_JOBS:-$(nproc)}" --target "${programs[@]}"

rm -rf "$folder"
mkdir -p "$folder"/{bin,lib,mpi/plugins,mpi/share,benchmarks/gpu}
for program in "${programs[@]}"; do
  strip -o "$folder/bin/$program" "$(find "$build" -name "$program" -type f -perm -u+x)"
done
cp tests/gpu.sh "$folder"
cp tests/benchmarks/gpu/stage.py "$folder/benchmarks/gpu"
mkdir "$folder/fixtures" && cp -r tests/fixtures/{kernels,models} "$folder/fixtures"

# libraries FILE...: the paths of what they load, glibc and CUDA left out.
glibc='/(ld-linux.*|lib(c|m|mvec|dl|pthread|rt|resolv|util|anl|nsl|nss_.*))\.so'
cuda='/lib(cuda|cudart|cublas|cublasLt|cusolver|cusparse|nvJitLink)\.so'
libraries() {
  ldd "$@" | awk '$2 == "=>" && $3 ~ /^\// {print $3}' | sort -u | grep -Ev "$glibc|$cuda"
}
take() {  # PATH...: under the names that programs ask for
  local path
  for path; do
    [[ -e $folder/lib/${path##*/} ]] || cp -L "$path" "$folder/lib"
  done
}
mapfile -t paths < <(libraries "$folder"/bin/*)
take "${paths[@]}"

# Plugins of Open MPI: all that need no library beyond these but parts of Open MPI, which leaves
# out networks.
of_mpi() { ompi_info --parsable --path "$1" | cut -d : -f 3; }
for plugin in "$(of_mpi pkglibdir)"/*.so; do
  [[ -e $plugin ]] || continue
  mapfile -t paths < <(libraries "$plugin")
  for path in ${paths[@]+"${paths[@]}"}; do
    [[ -e $folder/lib/${path##*/} || $path == */libmca_common_* ]] || continue 2
  done
  cp -L "$plugin" "$folder/mpi/plugins"
  take ${paths[@]+"${paths[@]}"}
done
cp -L "$(of_mpi pkgdatadir)"/*.txt "$folder/mpi/share"
strip --strip-unneeded "$folder"/lib/* "$folder"/mpi/plugins/*

mkdir -p "$(dirname "$file")"
tar -C "${folder%/*}" --owner 0 --group 0 -c "${folder##*/}" | xz -T0 -7 >"$file"
bytes=$(stat -c %s "$file")
printf '%s: %s bytes packed, %s unpacked, %s libraries\n' "$file" "$bytes" \
  "$(du -sb "$folder" | cut -f 1)" "$(find "$folder/lib" -type f | wc -l)"
if [[ $bytes -gt $most ]]; then
  echo "more than the $most bytes that it may have" >&2
  exit 1
fi
