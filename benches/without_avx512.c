/* Runs a program as if the machine had no AVX-512, so that LiteRT's kernels, which have no switch for it, are measured with AVX2.
 *
 *     cc -O2 -shared -fPIC -o without_avx512.so benches/without_avx512.c
 *     LD_PRELOAD=$PWD/without_avx512.so peers/bin/python benches/peers.py MODELS ...
 *
 * Linux on x86-64, where /proc/cpuinfo has cpuid_fault: the instruction CPUID then traps (arch_prctl(2), ARCH_SET_CPUID), and the handler
 * answers without AVX-512, AVX-VNNI and AMX. Threads and libraries ask it as usual. A machine that cannot do it stops at once.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#ifndef ARCH_SET_CPUID
#define ARCH_SET_CPUID 0x1012
#endif

#define BIT(n) (1u << (n))

/* Leaf 7, subleaf 0: AVX512F, DQ, IFMA, PF, ER, CD, BW, VL; VBMI, VBMI2, VNNI, BITALG, VPOPCNTDQ; 4VNNIW, 4FMAPS, VP2INTERSECT,
 * AMX-BF16, AVX512-FP16, AMX-TILE, AMX-INT8. Subleaf 1: AVX-VNNI, AVX512-BF16; AVX-VNNI-INT8, AVX-NE-CONVERT, AVX-VNNI-INT16. */
static const unsigned hidden[2][4] = {
    {0,
     BIT(16) | BIT(17) | BIT(21) | BIT(26) | BIT(27) | BIT(28) | BIT(30) | BIT(31),
     BIT(1) | BIT(6) | BIT(11) | BIT(12) | BIT(14),
     BIT(2) | BIT(3) | BIT(8) | BIT(22) | BIT(23) | BIT(24) | BIT(25)},
    {BIT(4) | BIT(5), 0, 0, BIT(4) | BIT(5) | BIT(10)},
};

static long allow_cpuid(int allowed) {
    return syscall(SYS_arch_prctl, ARCH_SET_CPUID, (long)allowed);
}

static void answer(int signal_number, siginfo_t *info, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *code = (const unsigned char *)registers[REG_RIP];
    (void)info;
    if (code[0] != 0x0f || code[1] != 0xa2) {
        /* A fault of the program's own happens again, and ends it. */
        signal(signal_number, SIG_DFL);
        return;
    }
    unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX], found[4];
    allow_cpuid(1);
    __asm__ volatile("cpuid"
                     : "=a"(found[0]), "=b"(found[1]), "=c"(found[2]), "=d"(found[3])
                     : "a"(leaf), "c"(subleaf));
    allow_cpuid(0);
    if (leaf == 7 && subleaf < 2)
        for (int i = 0; i < 4; i++)
            found[i] &= ~hidden[subleaf][i];
    registers[REG_RAX] = found[0];
    registers[REG_RBX] = found[1];
    registers[REG_RCX] = found[2];
    registers[REG_RDX] = found[3];
    registers[REG_RIP] += 2;
}

__attribute__((constructor)) static void start(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    if (sigaction(SIGSEGV, &action, NULL) != 0 || allow_cpuid(0) != 0) {
        perror("without_avx512: this machine cannot hide instructions (cpuid_fault in /proc/cpuinfo)");
        _exit(2);
    }
}
