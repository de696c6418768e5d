#include "ref/core/file.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>

#include "ref/core/error.hpp"
#include "tests/temporary_folder.hpp"

using namespace dsllm;
namespace fs = std::filesystem;

namespace {

// While it lives, no file of this process may grow beyond `bytes`: write() fails as on a full disk.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_handler_ = ::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    ::signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_{};
  void (*old_handler_)(int) = nullptr;
};

size_t files_in(const std::string& folder) {
  return static_cast<size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

}  // namespace

TEST_CASE("file: what is written is read, mapped and whole") {
  const TemporaryFolder folder;
  const std::string path = folder / "x";
  for (const size_t n : {size_t{0}, size_t{1}, size_t{1} << 20, (size_t{1} << 20) + 1}) {
    std::string bytes(n, '\0');
    for (size_t i = 0; i < n; ++i) bytes[i] = static_cast<char>(i * 31 >> 3);
    write_file_atomically(path, bytes);
    CHECK((read_file(path) == bytes));
    const MappedFile mapped(path);
    REQUIRE(mapped.bytes().size() == n);
    CHECK((n == 0 || std::memcmp(mapped.bytes().data(), bytes.data(), n) == 0));
  }
  CHECK(files_in(folder.path) == 1);
}

TEST_CASE("file: a file whose size the system does not know is read to its end") {
  CHECK(fs::file_size("/proc/self/status") == 0);
  CHECK(read_file("/proc/self/status").starts_with("Name:"));
}

TEST_CASE("file: what cannot be opened is an error with the path and the system's reason") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH_AS(
      read_file(folder / "none"),
      ((folder / "none") + ": expected a readable file, got No such file or directory").c_str(), FileError);
  CHECK_THROWS_WITH_AS(
      MappedFile(folder / "none"),
      ((folder / "none") + ": expected a readable file, got No such file or directory").c_str(), FileError);
  CHECK_THROWS_WITH_AS(read_file(folder.path), (folder.path + ": expected a file, got a directory").c_str(),
                       FileError);
  CHECK_THROWS_WITH_AS(MappedFile(folder.path), (folder.path + ": expected a file, got a directory").c_str(),
                       FileError);
  CHECK_THROWS_AS(write_file_atomically(folder / "no/such/folder", "x"), FileError);
}

TEST_CASE("file: a map moves, and the old owner lets go") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x", "abc");
  MappedFile a(folder / "x");
  MappedFile b = std::move(a);
  CHECK(b.bytes().size() == 3);
  CHECK(a.bytes().empty());
  CHECK(b.path() == folder / "x");
}

TEST_CASE("file: nothing is seen before commit, and nothing is left without it") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x", "old");
  {
    AtomicFile file(folder / "x");
    file.write("new");
    CHECK(read_file(folder / "x") == "old");
  }
  CHECK(read_file(folder / "x") == "old");
  CHECK(files_in(folder.path) == 1);
  AtomicFile file(folder / "x");
  file.write("ne");
  file.write("w");
  file.commit();
  CHECK(read_file(folder / "x") == "new");
  CHECK(files_in(folder.path) == 1);
}

TEST_CASE("file: on a full disk the old file stays and the temporary goes") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "x", "old");
  {
    const FileSizeLimit limit(64 * 1024);
    // 100,000 bytes: the first write is cut short, the next one fails.
    CHECK_THROWS_WITH_AS(write_file_atomically(folder / "x", std::string(100'000, 'n')),
                         ((folder / "x") + ".tmp: expected space for the file, got File too large").c_str(),
                         FileError);
  }
  CHECK(read_file(folder / "x") == "old");
  CHECK(files_in(folder.path) == 1);
}

TEST_CASE("file: what cannot be replaced stays, and the temporary goes") {
  const TemporaryFolder folder;
  fs::create_directories(folder / "x/inside");
  CHECK_THROWS_AS(write_file_atomically(folder / "x", "new"), FileError);
  CHECK(fs::is_directory(folder / "x/inside"));
  CHECK(files_in(folder.path) == 1);
}

TEST_CASE("file: a lock has one holder, and is free again when that is gone") {
  const TemporaryFolder folder;
  {
    const FileLock first(folder / "lock");
    CHECK_THROWS_WITH_AS(
        FileLock(folder / "lock"),
        ((folder / "lock") + ": expected a lock that is free, got one that a running process holds").c_str(),
        FileError);
  }
  CHECK_NOTHROW(FileLock(folder / "lock"));
  CHECK_THROWS_AS(FileLock(folder / "no/such/folder"), FileError);
}

TEST_CASE("file: a link stays a link, a device stays a device, a folder is refused") {
  const TemporaryFolder folder;
  write_file_atomically(folder / "target", "old");
  fs::create_symlink("target", folder / "link");
  write_file_atomically(folder / "link", "new");
  CHECK(fs::is_symlink(folder / "link"));
  CHECK(read_file(folder / "target") == "new");
  fs::create_symlink("not yet there", folder / "dangling");
  write_file_atomically(folder / "dangling", "x");
  CHECK(fs::is_symlink(folder / "dangling"));
  CHECK(read_file(folder / "not yet there") == "x");
  // A pipe of our own: as root, a writer that is wrong would replace /dev/full for everybody.
  REQUIRE(::mkfifo((folder / "pipe").c_str(), 0600) == 0);
  const int reader = ::open((folder / "pipe").c_str(), O_RDWR);
  write_file_atomically(folder / "pipe", "through");
  char bytes[8] = {};
  CHECK(::read(reader, bytes, 7) == 7);
  ::close(reader);
  CHECK(std::string(bytes) == "through");
  CHECK(fs::is_fifo(folder / "pipe"));
  CHECK_THROWS_AS(write_file_atomically(folder.path, "x"), FileError);
}
