// Files: reading whole ones, mapping large ones, and writing so that a crash at any moment leaves either the old
// file or the new one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace dsllm {

// The bytes of a file. Throws FileError if it cannot be opened or read.
std::string read_file(const std::string& path);

// Writes to `path`.tmp, flushes it to the disk, renames it over `path`, and flushes the directory. Throws FileError
// (with the system's reason, "No space left on device" for instance) and removes the temporary; `path` is untouched.
void write_file_atomically(const std::string& path, std::string_view bytes);

// A file mapped into memory, read-only: opening 13 GB costs nothing until a page is touched. Moves, does not copy.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::string& path);  // throws FileError
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), size_}; }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
  const void* data_ = nullptr;
  size_t size_ = 0;
};

// Writes a file in pieces with the same guarantee as write_file_atomically: nothing has happened until commit(). A link
// stays a link, and the file behind it is replaced; a device or a pipe is written to directly.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);  // opens `path`.tmp; throws FileError
  ~AtomicFile();                                 // without commit(): closes and removes the temporary
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(const void* bytes, size_t count);
  void write(std::string_view bytes) { write(bytes.data(), bytes.size()); }
  void commit();

 private:
  std::string path_, temporary_;
  bool direct_ = false;  // a device or a pipe
  int descriptor_ = -1;
};

// Holds `path` (made if need be, empty) against other processes; the system lets go of it when this one ends, however.
// Throws FileError if another holder is alive.
class FileLock {
 public:
  explicit FileLock(const std::string& path);
  ~FileLock();
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

 private:
  int descriptor_ = -1;
};

// Flushes a directory, so that a rename inside it survives a power cut.
void flush_directory(const std::string& path);

}  // namespace dsllm
