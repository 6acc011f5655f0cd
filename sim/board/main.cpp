// A board under Verilator whose serial line is a pseudo-terminal.
//
// Prints the terminal's name and runs until SIGTERM or SIGINT. SIGUSR1 presses the reset button.
// Arguments: clock cycles per bit; cycles without a byte after which it may rest; a folder, in which
// a file named like the terminal holds the cycles so far and the process, each in 64 bits.

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <termios.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <string>

#include "Vtop.h"
#include "verilated.h"

static volatile sig_atomic_t over = 0;
static volatile sig_atomic_t reset = 0;

static void on_signal(int number) {
    if (number == SIGUSR1)
        reset = 1;
    else
        over = 1;
}

// What a host that waits goes by, instead of the time of a machine that has other work to do.
struct Clock {
    uint64_t cycles, process;
};

static volatile Clock* open_clock(const std::string& folder, const char* terminal) {
    const std::string path = folder + "/" + (std::strrchr(terminal, '/') + 1);
    const int file = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0666);
    if (file < 0 || ftruncate(file, sizeof(Clock))) return nullptr;
    void* mapped = mmap(nullptr, sizeof(Clock), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (mapped == MAP_FAILED) return nullptr;
    volatile Clock* clock = static_cast<Clock*>(mapped);
    clock->process = static_cast<uint64_t>(getpid());
    return clock;
}

static int open_terminal(int* keep_open, const std::string& folder, volatile Clock** clock) {
    int master = posix_openpt(O_RDWR | O_NOCTTY);
    if (master < 0 || grantpt(master) || unlockpt(master)) return -1;
    const char* name = ptsname(master);
    // Held open here, too: a terminal that nobody has open reads as gone.
    *keep_open = name ? open(name, O_RDWR | O_NOCTTY) : -1;
    termios settings;
    if (*keep_open < 0 || tcgetattr(*keep_open, &settings)) return -1;
    cfmakeraw(&settings);
    if (tcsetattr(*keep_open, TCSANOW, &settings)) return -1;
    *clock = open_clock(folder, name);
    if (!*clock) return -1;
    std::printf("%s\n", name);
    std::fflush(stdout);
    return master;
}

// The other end of the line: bytes to bits and back.
struct Line {
    explicit Line(int divisor) : divisor(divisor) {}

    int drive() {
        if (left == 0) {
            if (to_board.empty()) return 1;
            bits = 0x200 | to_board.front() << 1;  // start bit, data, stop bit
            to_board.pop_front();
            left = 10 * divisor;
        }
        int level = bits >> ((10 * divisor - left) / divisor) & 1;
        --left;
        return level;
    }

    void sample(int level) {
        if (at < 0) {
            if (level) return;
            at = 0;
            data = 0;
        }
        if (at % divisor == divisor / 2) data |= level << at / divisor;
        // Ends in the middle of the stop bit, so that a start bit right after it is seen.
        if (++at > 9 * divisor + divisor / 2) {
            from_board.push_back(static_cast<char>(data >> 1 & 0xff));
            at = -1;
        }
    }

    bool quiet() const { return left == 0 && to_board.empty() && at < 0; }

    const int divisor;
    std::deque<uint8_t> to_board;
    std::string from_board;
    int left = 0, bits = 0, at = -1, data = 0;
};

int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    if (argc < 4) {
        std::fprintf(stderr, "usage: %s DIVISOR QUIET CLOCKS [+sram_dir=DIR]\n", argv[0]);
        return 2;
    }
    Line line(std::atoi(argv[1]));
    const uint64_t rest_after = std::strtoull(argv[2], nullptr, 10);
    struct sigaction action;
    std::memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    for (int number : {SIGTERM, SIGINT, SIGUSR1}) sigaction(number, &action, nullptr);
    int slave = -1;
    volatile Clock* clock = nullptr;
    const int master = open_terminal(&slave, argv[3], &clock);
    if (master < 0) {
        std::perror("pseudo-terminal");
        return 1;
    }
    fcntl(master, F_SETFL, O_NONBLOCK);

    Vtop top(&context, "");  // paths begin with the design's top
    int in_reset = 16;
    uint64_t quiet = 0;
    constexpr int kSlice = 256;  // cycles between looks at the terminal
    constexpr int kRestMs = 20, kRestCycles = 500000;  // the same time at 25 MHz
    while (!over) {
        if (reset) {
            reset = 0;
            in_reset = 16;
            line.at = -1;
        }
        for (int cycle = 0; cycle < kSlice; ++cycle) {
            top.rst = in_reset > 0;
            if (in_reset) --in_reset;
            top.rx = line.drive();
            top.clk = 0;
            top.eval();
            if (!in_reset) line.sample(top.tx);
            top.clk = 1;
            top.eval();
        }
        clock->cycles += kSlice;
        quiet = line.quiet() && !top.running ? quiet + kSlice : 0;
        pollfd terminal{master, static_cast<short>(line.from_board.empty() ? POLLIN : POLLIN | POLLOUT), 0};
        // Nothing happens in the board until a byte or a signal comes.
        const bool rest = quiet > rest_after && line.from_board.empty();
        const int events = poll(&terminal, 1, rest ? kRestMs : 0);
        // Its time goes on while it rests, or a host would wait for ever.
        if (rest && events == 0) clock->cycles += kRestCycles;
        if (events <= 0) continue;
        if (terminal.revents & POLLIN && line.to_board.size() < 4096) {
            uint8_t data[1024];
            const ssize_t count = read(master, data, sizeof data);
            if (count > 0) {
                line.to_board.insert(line.to_board.end(), data, data + count);
                quiet = 0;
            }
        }
        if (terminal.revents & POLLOUT) {
            const ssize_t count = write(master, line.from_board.data(), line.from_board.size());
            if (count > 0) line.from_board.erase(0, count);
        }
    }
    top.final();
    close(slave);
    close(master);
    return 0;
}
