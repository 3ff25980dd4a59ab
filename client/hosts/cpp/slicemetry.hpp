// Reports outputs through slicemetry-agent, from a C++17 program. One header, no
// library: copy it into a slicer.
//
// Nothing here throws or writes a file. record, count and upload wait for nobody;
// what shows or decides something waits for the agent, which takes milliseconds. The
// agent keeps the user's decision; without one it records nothing. It inherits none
// of the slicer's files and sockets.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#ifdef _WIN32
#include <windows.h>
#else
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
// Whether the system can close all but the first files of a new process by itself.
#if !defined(SLICEMETRY_CLOSEFROM) && defined(__GLIBC__) && (__GLIBC__ > 2 || __GLIBC_MINOR__ >= 34)
#define SLICEMETRY_CLOSEFROM 1
#endif
#endif

namespace slicemetry {

// Event is one output, or counters, as the JSON that the agent reads.
// "slicemetry-agent fields -json" lists the names (under "json"), "fields -values
// machine" what may stand in one, and "record -check" says what becomes of a guess.
class Event {
public:
    Event &text(const char *name, const std::string &value) { return add(name, quoted(value)); }
    Event &number(const char *name, std::uint32_t value) { return add(name, std::to_string(value)); }
    // A list of texts, such as changedSettings: all of them, the agent draws.
    Event &texts(const char *name, const std::vector<std::string> &values) {
        std::string list;
        for (const auto &value : values) list += (list.empty() ? "" : ",") + quoted(value);
        return add(name, "[" + list + "]");
    }
    // An item of a list of messages, such as an extruder. Items follow one another.
    Event &item(const char *list, const Event &value) {
        if (list_ == list) {
            body_.insert(body_.size() - 1, "," + value.json());
            return *this;
        }
        add(list, "[" + value.json() + "]");
        list_ = list;
        return *this;
    }
    std::string json() const { return "{" + body_ + "}"; }

private:
    Event &add(const char *name, const std::string &value) {
        body_ += (body_.empty() ? "\"" : ",\"") + std::string(name) + "\":" + value;
        list_.clear();
        return *this;
    }
    static std::string quoted(const std::string &value) {
        std::string out = "\"";
        for (unsigned char c : value) {
            if (c < 0x20) continue;
            if (c == '"' || c == '\\') out += '\\';
            out += static_cast<char>(c);
        }
        return out + "\"";
    }
    std::string body_, list_;
};

// Answer is what a command ended with: its exit code, -1 where there is no agent or it
// took too long, and what it printed.
struct Answer {
    int code = -1;
    std::string text;
};

// Consent is the decision in force.
struct Consent {
    std::string state; // "unknown", "refused", "granted"; "" without an agent
    std::string rule;  // what decided, for people
    bool ask = false;  // there is something to ask
};

// Agent starts slicemetry-agent. Use it from one thread.
class Agent {
public:
    // arguments go to every call: {"-endpoint", "telemetry.example.org:443", "-policy",
    // "1"}, with the version of the privacy policy that the slicer shows.
    explicit Agent(std::string program, std::vector<std::string> arguments = {})
        : program_(std::move(program)), arguments_(std::move(arguments)) {}
    ~Agent() { reap(); }
    Agent(const Agent &) = delete;
    Agent &operator=(const Agent &) = delete;

    // record hands one output over. Call it after the file was written and closed. It
    // reports whether an agent was started.
    bool record(const Event &event) noexcept { return start({"record"}, event.json()); }

    // count hands counters over, such as Event().number("slicesStarted", 1).
    bool count(const Event &counters) noexcept { return start({"count"}, counters.json()); }

    // upload sends what is kept, if its time has come, and not in the next minutes. Call
    // it when the slicer starts. It outlives the slicer, or is killed with it.
    bool upload() noexcept { return start({"upload", "-wait"}, ""); }

    // consent says what holds, and whether to ask.
    Consent consent() noexcept try {
        Answer answer = run({"consent", "status", "-json"});
        if (answer.code != 0) return {};
        return {value(answer.text, "state"), value(answer.text, "rule"), value(answer.text, "ask") == "true"};
    } catch (...) {
        return {};
    }

    // grant notes a yes. Code 3: nothing is recorded all the same; consent().rule says
    // why. kinds: {"machine,material"} agrees to those only.
    Answer grant(const std::string &kinds = "") noexcept {
        return kinds.empty() ? run({"consent", "grant"}) : run({"consent", "grant", "-kinds", kinds});
    }
    // refuse notes a no, also one that comes later: all that is kept is removed.
    Answer refuse() noexcept { return run({"consent", "refuse"}); }

    // run runs a command to its end: {"fields"}, {"preview"}, {"sent"}, {"erase"}, {"policy"},
    // {"export", "-format", "csv"}, {"status", "-json"}.
    Answer run(std::vector<std::string> command) noexcept try {
        return spawn_and_read(words(std::move(command)));
    } catch (...) {
        return {}; // no memory
    }

private:
    static constexpr std::size_t max_running = 8;
    static constexpr int timeout_ms = 20000; // the agent waits 15 s for a collector

    std::vector<std::string> words(std::vector<std::string> command) const {
        command.insert(command.begin(), program_);
        command.insert(command.end(), arguments_.begin(), arguments_.end());
        return command;
    }

    bool start(std::vector<std::string> command, const std::string &input) noexcept try {
        reap();
        return running_.size() < max_running && spawn_and_write(words(std::move(command)), input);
    } catch (...) {
        return false; // no memory
    }

    // value is what stands behind a name in the agent's JSON: a text or a word.
    static std::string value(const std::string &json, const std::string &name) {
        std::size_t at = json.find("\"" + name + "\"");
        if (at == std::string::npos) return "";
        at = json.find_first_not_of(": \n", at + name.size() + 2);
        if (at == std::string::npos) return "";
        if (json[at] != '"') return json.substr(at, json.find_first_of(",}\n", at) - at);
        return json.substr(at + 1, json.find('"', at + 1) - at - 1);
    }

#ifdef _WIN32
    using Process = HANDLE;
    static constexpr std::size_t max_event = 64 << 10; // a pipe is made for so much

    bool spawn_and_write(const std::vector<std::string> &words, const std::string &input) {
        HANDLE in, out;
        if (input.size() > max_event || !CreatePipe(&in, &out, nullptr, static_cast<DWORD>(input.size() + 1))) return false;
        DWORD written = 0;
        bool ok = input.empty() || WriteFile(out, input.data(), static_cast<DWORD>(input.size()), &written, nullptr);
        CloseHandle(out);
        HANDLE process = ok ? spawn(words, in, nullptr) : nullptr;
        CloseHandle(in);
        if (process) running_.push_back(process);
        return process != nullptr;
    }

    Answer spawn_and_read(const std::vector<std::string> &words) {
        HANDLE in, out;
        if (!CreatePipe(&in, &out, nullptr, 0)) return {};
        HANDLE process = spawn(words, nullptr, out);
        CloseHandle(out);
        Answer answer;
        if (process && read_all(in, answer.text) && WaitForSingleObject(process, timeout_ms) == WAIT_OBJECT_0) {
            DWORD code = 0;
            GetExitCodeProcess(process, &code);
            answer.code = static_cast<int>(code);
        } else if (process) {
            TerminateProcess(process, 1);
        }
        if (process) CloseHandle(process);
        CloseHandle(in);
        return answer;
    }

    // read_all reads until the other end is closed, or the time is up.
    static bool read_all(HANDLE in, std::string &text) {
        char buffer[4096];
        for (ULONGLONG start = GetTickCount64(); GetTickCount64() - start < timeout_ms;) {
            DWORD n = 0;
            if (!PeekNamedPipe(in, nullptr, 0, nullptr, &n, nullptr)) return true;
            if (n == 0) {
                Sleep(2);
            } else if (ReadFile(in, buffer, static_cast<DWORD>(std::min<std::size_t>(n, sizeof buffer)), &n, nullptr)) {
                text.append(buffer, n);
            }
        }
        return false;
    }

    // spawn starts a process that inherits the one handle that is given and no other.
    static HANDLE spawn(const std::vector<std::string> &words, HANDLE in, HANDLE out) {
        std::wstring line;
        for (const auto &word : words) line += (line.empty() ? L"" : L" ") + quoted(word);
        HANDLE inherited = in ? in : out;
        SetHandleInformation(inherited, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
        SIZE_T size = 0;
        InitializeProcThreadAttributeList(nullptr, 1, 0, &size);
        std::vector<char> room(size);
        auto list = reinterpret_cast<LPPROC_THREAD_ATTRIBUTE_LIST>(room.data());
        if (!InitializeProcThreadAttributeList(list, 1, 0, &size)) return nullptr;
        STARTUPINFOEXW startup{};
        startup.StartupInfo.cb = sizeof startup;
        startup.StartupInfo.dwFlags = STARTF_USESTDHANDLES;
        startup.StartupInfo.hStdInput = in;
        startup.StartupInfo.hStdOutput = out;
        startup.lpAttributeList = list;
        PROCESS_INFORMATION process{};
        bool ok = UpdateProcThreadAttribute(list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, &inherited, sizeof inherited, nullptr, nullptr) &&
                  CreateProcessW(nullptr, line.data(), nullptr, nullptr, TRUE, CREATE_NO_WINDOW | EXTENDED_STARTUPINFO_PRESENT, nullptr,
                                 nullptr, &startup.StartupInfo, &process);
        DeleteProcThreadAttributeList(list);
        if (!ok) return nullptr;
        CloseHandle(process.hThread);
        return process.hProcess;
    }

    // quoted is a word as CommandLineToArgvW reads it back, in UTF-16.
    static std::wstring quoted(const std::string &word) {
        std::string out = "\"";
        std::size_t slashes = 0;
        for (char c : word) {
            if (c == '"') out.append(slashes + 1, '\\');
            slashes = c == '\\' ? slashes + 1 : 0;
            out += c;
        }
        out.append(slashes, '\\');
        out += '"';
        int n = MultiByteToWideChar(CP_UTF8, 0, out.data(), static_cast<int>(out.size()), nullptr, 0);
        std::wstring wide(static_cast<std::size_t>(n), L'\0');
        MultiByteToWideChar(CP_UTF8, 0, out.data(), static_cast<int>(out.size()), wide.data(), n);
        return wide;
    }

    void reap() noexcept {
        for (std::size_t i = 0; i < running_.size();) {
            if (WaitForSingleObject(running_[i], 0) == WAIT_TIMEOUT) {
                i++;
                continue;
            }
            CloseHandle(running_[i]);
            running_[i] = running_.back();
            running_.pop_back();
        }
    }
#else
    using Process = pid_t;

    bool spawn_and_write(const std::vector<std::string> &words, const std::string &input) {
        int ends[2];
        if (!open_pipe(ends)) return false;
        // What does not fit into the pipe at once is not handed over. The reading end is
        // open here, so there is no SIGPIPE.
        fcntl(ends[1], F_SETFL, O_NONBLOCK);
        bool ok = write(ends[1], input.data(), input.size()) == static_cast<ssize_t>(input.size());
        close(ends[1]);
        pid_t pid = ok ? spawn(words, ends[0], -1) : -1;
        close(ends[0]);
        if (pid > 0) running_.push_back(pid);
        return pid > 0;
    }

    Answer spawn_and_read(const std::vector<std::string> &words) {
        int ends[2];
        if (!open_pipe(ends)) return {};
        pid_t pid = spawn(words, -1, ends[1]);
        close(ends[1]);
        Answer answer;
        bool ended = pid > 0 && read_all(ends[0], answer.text);
        close(ends[0]);
        if (pid <= 0) return {};
        if (!ended) kill(pid, SIGKILL);
        int status = 0;
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
        }
        if (ended && WIFEXITED(status)) answer.code = WEXITSTATUS(status);
        return answer;
    }

    // read_all reads until the other end is closed, or the time is up.
    static bool read_all(int in, std::string &text) {
        using clock = std::chrono::steady_clock;
        char buffer[4096];
        for (auto start = clock::now();;) {
            auto left = timeout_ms - std::chrono::duration_cast<std::chrono::milliseconds>(clock::now() - start).count();
            pollfd ready{in, POLLIN, 0};
            int n = left > 0 ? poll(&ready, 1, static_cast<int>(left)) : 0;
            if (n < 0 && errno == EINTR) continue;
            if (n <= 0) return false;
            ssize_t octets = read(in, buffer, sizeof buffer);
            if (octets == 0) return true;
            if (octets > 0) text.append(buffer, static_cast<std::size_t>(octets));
        }
    }

    // open_pipe opens a pipe that no other process inherits, away from 0, 1 and 2, which a
    // slicer may have closed.
    static bool open_pipe(int (&ends)[2]) {
#if defined(__APPLE__)
        if (pipe(ends) != 0) return false;
        for (int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
#else
        if (pipe2(ends, O_CLOEXEC) != 0) return false;
#endif
        for (int &end : ends) {
            if (end > 2) continue;
            int low = end;
            end = fcntl(low, F_DUPFD_CLOEXEC, 3);
            close(low);
        }
        return ends[0] > 2 && ends[1] > 2;
    }

    // spawn starts a process with in as its input and out as its output, -1 is nothing, and
    // no other file of this one's: most programs open files that would be inherited.
    static pid_t spawn(const std::vector<std::string> &words, int in, int out) {
        posix_spawn_file_actions_t files;
        posix_spawnattr_t how;
        posix_spawn_file_actions_init(&files);
        posix_spawnattr_init(&how);
        give(files, in, 0, O_RDONLY);
        give(files, out, 1, O_WRONLY);
        give(files, -1, 2, O_WRONLY);
#if SLICEMETRY_CLOSEFROM
        posix_spawn_file_actions_addclosefrom_np(&files, 3);
#elif defined(__APPLE__)
        posix_spawnattr_setflags(&how, POSIX_SPAWN_CLOEXEC_DEFAULT);
#else
        if (DIR *open = opendir("/dev/fd")) {
            while (dirent *file = readdir(open))
                if (int fd = std::atoi(file->d_name); fd > 2 && fd != dirfd(open)) posix_spawn_file_actions_addclose(&files, fd);
            closedir(open);
        }
#endif
        std::vector<char *> argv;
        for (const auto &word : words) argv.push_back(const_cast<char *>(word.c_str()));
        argv.push_back(nullptr);
        pid_t pid = 0;
        bool ok = posix_spawnp(&pid, argv[0], &files, &how, argv.data(), environ) == 0;
        posix_spawnattr_destroy(&how);
        posix_spawn_file_actions_destroy(&files);
        return ok ? pid : -1;
    }

    static void give(posix_spawn_file_actions_t &files, int file, int as, int mode) {
        if (file < 0)
            posix_spawn_file_actions_addopen(&files, as, "/dev/null", mode, 0);
        else
            posix_spawn_file_actions_adddup2(&files, file, as);
    }

    void reap() noexcept {
        for (std::size_t i = 0; i < running_.size();) {
            if (waitpid(running_[i], nullptr, WNOHANG) == 0) {
                i++;
                continue;
            }
            running_[i] = running_.back();
            running_.pop_back();
        }
    }
#endif

    std::string program_;
    std::vector<std::string> arguments_;
    std::vector<Process> running_;
};

} // namespace slicemetry
