#include "ref/core/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <utility>

#include "ref/core/error.hpp"

namespace dsllm {
namespace {

[[noreturn]] void fail(const std::string& path, const char* expected) {
  throw FileError(path, "", expected, std::strerror(errno));
}

// An open file descriptor that closes itself.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

int64_t regular_file_size(int fd, const std::string& path) {
  struct stat info {};
  if (::fstat(fd, &info) != 0) fail(path, "a file whose size can be read");
  if (S_ISDIR(info.st_mode)) throw FileError(path, "", "a file", "a directory");
  return info.st_size;
}

}  // namespace

std::string read_file(const std::string& path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) fail(path, "a readable file");
  const int64_t expected = regular_file_size(file.fd, path);
  std::string bytes;
  if (expected > 0) bytes.reserve(static_cast<size_t>(expected));
  // Reads to the end rather than to the expected size: a pipe has none.
  constexpr size_t piece = size_t{1} << 20;
  for (;;) {
    const size_t have = bytes.size();
    bytes.resize(have + piece);
    const ssize_t n = ::read(file.fd, bytes.data() + have, piece);
    bytes.resize(have + static_cast<size_t>(std::max<ssize_t>(n, 0)));
    if (n == 0) return bytes;
    if (n < 0 && errno != EINTR) fail(path, "a readable file");
  }
}

void write_file_atomically(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) fail(path, "a readable file");
  size_ = static_cast<size_t>(regular_file_size(file.fd, path));
  if (size_ == 0) return;
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (mapped == MAP_FAILED) fail(path, "a file that can be mapped");
  data_ = mapped;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<void*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept {
  *this = std::move(other);
}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

namespace {

// Where a chain of links ends, there or not; the path itself where there is none.
std::string behind_links(std::filesystem::path path) {
  for (int links = 0; links < 40 && std::filesystem::is_symlink(path); ++links)
    path = path.parent_path() / std::filesystem::read_symlink(path);
  return path.string();
}

// A device or a pipe, which is written to and never replaced.
bool is_special(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode);
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path)
    : path_(behind_links(path)), temporary_(path_ + ".tmp"), direct_(is_special(path_)) {
  if (std::filesystem::is_directory(path_)) throw FileError(path_, "", "a file", "a directory");
  if (direct_) temporary_ = path_;
  descriptor_ =
      ::open(temporary_.c_str(), (direct_ ? O_WRONLY : O_WRONLY | O_CREAT | O_TRUNC) | O_CLOEXEC, 0644);
  if (descriptor_ < 0) fail(temporary_, "a file that can be written");
}

AtomicFile::~AtomicFile() {
  if (descriptor_ < 0) return;
  ::close(descriptor_);
  if (!direct_) ::unlink(temporary_.c_str());
}

void AtomicFile::write(const void* bytes, size_t count) {
  const char* p = static_cast<const char*>(bytes);
  while (count > 0) {
    const ssize_t n = ::write(descriptor_, p, count);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) fail(temporary_, "space for the file");
    p += n;
    count -= static_cast<size_t>(n);
  }
}

void AtomicFile::commit() {
  if (direct_) {
    if (::close(std::exchange(descriptor_, -1)) != 0) fail(path_, "a device that takes what is written");
    return;
  }
  if (::fsync(descriptor_) != 0) fail(temporary_, "a file that can be flushed to the disk");
  const int closed = ::close(std::exchange(descriptor_, -1));
  if (closed != 0 || ::rename(temporary_.c_str(), path_.c_str()) != 0) {
    const int reason = errno;
    ::unlink(temporary_.c_str());
    errno = reason;
    fail(path_, "a file that can be replaced");
  }
  const std::string directory = std::filesystem::path(path_).parent_path().string();
  flush_directory(directory.empty() ? "." : directory);
}

FileLock::FileLock(const std::string& path)
    : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
  if (descriptor_ < 0) fail(path, "a file that can be made");
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int reason = errno;
  ::close(descriptor_);
  if (reason == EWOULDBLOCK)
    throw FileError(path, "", "a lock that is free", "one that a running process holds");
  errno = reason;
  fail(path, "a file that can be locked");
}

FileLock::~FileLock() {
  ::close(descriptor_);
}

void flush_directory(const std::string& path) {
  const Descriptor directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.fd < 0 || ::fsync(directory.fd) != 0) fail(path, "a directory that can be flushed");
}

}  // namespace dsllm
