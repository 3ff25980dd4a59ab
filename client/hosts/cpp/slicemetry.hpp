// Reports outputs through slicemetry-agent, from a C++17 program. One header, no
// library: copy it into a slicer.
//
// Nothing here throws, waits for the agent or the network, or writes a file. The
// agent keeps the user's decision; without one it records nothing.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#ifdef _WIN32
#include <windows.h>
#else
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>
extern char **environ;
#endif

namespace slicemetry {

// Event is one output, as the JSON that the agent reads. "slicemetry-agent fields"
// lists the names; in JSON they are in camel case, such as layerHeightUm.
class Event {
public:
    Event &text(const char *name, const std::string &value) { return add(name, quoted(value)); }
    Event &number(const char *name, std::uint32_t value) { return add(name, std::to_string(value)); }
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

// Agent starts slicemetry-agent. Use it from one thread.
class Agent {
public:
    // arguments go to every call, such as {"-endpoint", "telemetry.example.org:443"}.
    explicit Agent(std::string program, std::vector<std::string> arguments = {})
        : program_(std::move(program)), arguments_(std::move(arguments)) {}
    ~Agent() { reap(); }
    Agent(const Agent &) = delete;
    Agent &operator=(const Agent &) = delete;

    // record hands one output over. Call it after the file was written. It reports
    // whether an agent was started.
    bool record(const Event &event) noexcept { return start("record", event.json()); }

    // upload sends what is kept, if its time has come. Call it at the start.
    bool upload() noexcept { return start("upload", ""); }

private:
    // A pipe takes so much before anybody reads, everywhere.
    static constexpr std::size_t max_event = 4096;
    static constexpr std::size_t max_running = 8;

    bool start(const char *command, const std::string &input) noexcept try {
        reap();
        if (input.size() > max_event || running_.size() >= max_running) return false;
        std::vector<std::string> words{program_, command};
        words.insert(words.end(), arguments_.begin(), arguments_.end());
        return spawn(words, input);
    } catch (...) {
        return false; // no memory
    }

#ifdef _WIN32
    using Process = HANDLE;

    bool spawn(const std::vector<std::string> &words, const std::string &input) {
        SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
        HANDLE in, out;
        if (!CreatePipe(&in, &out, &inherited, max_event)) return false;
        SetHandleInformation(out, HANDLE_FLAG_INHERIT, 0);
        DWORD written = 0;
        bool ok = input.empty() || WriteFile(out, input.data(), static_cast<DWORD>(input.size()), &written, nullptr);
        CloseHandle(out);
        std::wstring line;
        for (const auto &word : words) line += (line.empty() ? L"" : L" ") + quoted(word);
        STARTUPINFOW startup{};
        startup.cb = sizeof startup;
        startup.dwFlags = STARTF_USESTDHANDLES;
        startup.hStdInput = in;
        PROCESS_INFORMATION process{};
        ok = ok && CreateProcessW(nullptr, line.data(), nullptr, nullptr, TRUE, CREATE_NO_WINDOW, nullptr, nullptr, &startup, &process);
        CloseHandle(in);
        if (!ok) return false;
        CloseHandle(process.hThread);
        running_.push_back(process.hProcess);
        return true;
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

    bool spawn(const std::vector<std::string> &words, const std::string &input) {
        int ends[2];
        if (pipe(ends) != 0) return false;
        for (int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
        // The reading end is open here, so this neither waits nor raises SIGPIPE.
        bool ok = write(ends[1], input.data(), input.size()) == static_cast<ssize_t>(input.size());
        close(ends[1]);
        posix_spawn_file_actions_t files;
        posix_spawn_file_actions_init(&files);
        posix_spawn_file_actions_adddup2(&files, ends[0], 0);
        posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);
        posix_spawn_file_actions_addopen(&files, 2, "/dev/null", O_WRONLY, 0);
        std::vector<char *> argv;
        for (const auto &word : words) argv.push_back(const_cast<char *>(word.c_str()));
        argv.push_back(nullptr);
        pid_t pid = 0;
        ok = ok && posix_spawnp(&pid, argv[0], &files, nullptr, argv.data(), environ) == 0;
        posix_spawn_file_actions_destroy(&files);
        close(ends[0]);
        if (ok) running_.push_back(pid);
        return ok;
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
