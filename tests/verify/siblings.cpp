#include "tests/verify/siblings.hpp"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "ref/core/error.hpp"

extern char** environ;

namespace dsllm::tests {

std::string sibling(const std::string& name) {
  std::error_code none;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", none);
  const std::filesystem::path path = self.parent_path() / name;
  return ::access(path.c_str(), X_OK) == 0 ? path.string() : "";
}

void become(const std::string& path, char** arguments) {
  ::execv(path.c_str(), arguments);
  throw Error(path, "a program", std::strerror(errno));
}

Finished run_program(const std::string& path, const std::vector<std::string>& arguments) {
  std::vector<char*> argv{const_cast<char*>(path.c_str())};
  for (const std::string& a : arguments) argv.push_back(const_cast<char*>(a.c_str()));
  argv.push_back(nullptr);

  int pipe[2];
  if (::pipe(pipe) != 0) throw Error(path, "a pipe to it", std::strerror(errno));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_adddup2(&actions, pipe[1], STDOUT_FILENO);
  posix_spawn_file_actions_addclose(&actions, pipe[0]);
  posix_spawn_file_actions_addclose(&actions, pipe[1]);
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, path.c_str(), &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe[1]);
  if (failed != 0) {
    ::close(pipe[0]);
    throw Error(path, "a program", std::strerror(failed));
  }

  Finished finished;
  std::array<char, 4096> buffer;
  for (;;) {
    const ssize_t n = ::read(pipe[0], buffer.data(), buffer.size());
    if (n > 0) finished.out.append(buffer.data(), static_cast<size_t>(n));
    if (n == 0 || (n < 0 && errno != EINTR)) break;
  }
  ::close(pipe[0]);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  finished.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  return finished;
}

}  // namespace dsllm::tests
