#!/usr/bin/env bash
# The AppImage runtime from source, for `build.py appimage --runtime FILE`: build_runtime.sh TYPE2_RUNTIME SQUASHFUSE OUT
# The two are clones of AppImage/type2-runtime and vasi/squashfuse; fuse and the compressors are Debian's static libraries:
#   apt-get install gcc make autoconf automake libtool pkg-config binutils libfuse3-dev libzstd-dev zlib1g-dev
set -euo pipefail
[ $# -eq 3 ] || { sed -n '2,4s/^# //p' "$0" >&2; exit 2; }
runtime=$(realpath "$1") squashfuse=$(realpath "$2") out=$(realpath -m "$3")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
epoch=${SOURCE_DATE_EPOCH:-$(git -C "$runtime" log -1 --format=%ct 2>/dev/null || echo 1767225600)}
export SOURCE_DATE_EPOCH=$epoch
# No path of this machine in what is made.
plain="-ffile-prefix-map=$work=."

cp -r "$squashfuse" "$work/squashfuse"
cd "$work/squashfuse"
./autogen.sh > "$work/log" 2>&1
./configure --disable-shared --enable-static --without-xz --without-lzo --without-lz4 --prefix="$work/prefix" \
  CFLAGS="-Os -ffunction-sections -fdata-sections $plain" >> "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
make -s install >> "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; exit 1; }
cp ./*.h "$work/prefix/include/squashfuse/"

cp -r "$runtime/src/runtime" "$work/runtime"
cd "$work/runtime"
version=$(git -C "$runtime" rev-parse --short HEAD 2>/dev/null || echo unknown)
# As its Makefile does, with gcc and without mimalloc. -e: the unwinder's tables are asked for by glibc's static start.
gcc -std=gnu99 -Os -D_FILE_OFFSET_BITS=64 -DGIT_COMMIT="\"$version\"" -T data_sections.ld -ffunction-sections -fdata-sections \
  -Wl,--gc-sections,--build-id=none -static -Wno-cpp "$plain" -I"$work/prefix/include/squashfuse" -I"$work/prefix/include" \
  $(pkg-config --cflags fuse3) runtime.c -L"$work/prefix/lib" -lsquashfuse_ll -lsquashfuse -lzstd -lz -lfuse3 -lpthread -ldl \
  -o runtime
strip --strip-debug --strip-unneeded runtime
# The mark of an AppImage of type 2, where the ELF header leaves room. Last: strip would take it away.
printf 'AI\002' | dd of=runtime bs=1 seek=8 conv=notrunc status=none
mkdir -p "$(dirname "$out")"
install -m 755 runtime "$out"
sha256sum "$out"
