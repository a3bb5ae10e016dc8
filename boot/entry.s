# From the loader's 32-bit protected mode to 64-bit Rust at the link address.
#
# Both doors end in `image_entry(magic, info)`. Before it: the end of the image is checked for memory, and the CPU for long mode and what
# else the code is compiled for (a message on COM1 and a stop where anything is missing), and boot page tables are built that map the
# first 4 GiB twice:
#
#   identity        0x0000_0000_0000_0000 .. 4 GiB    this code, and the loader's structures
#   image window    0xffff_ffff_c000_0000 .. 1 GiB    the image at its link address
#
# `KernelMap` replaces them. Multiboot2 specification 3.3 (machine state); PVH: Xen's docs/misc/pvh.pandoc;
# Intel SDM volume 3, 11.8.5 (entering long mode).

.set MULTIBOOT2_LOADED, 0x36d76289
.set PVH_LOADED, 0x336ec578
.set KERNEL_OFFSET, 0xffffffffc0000000

.set COM1, 0x3f8
.set SENDS, 1000000
.set PRESENT_WRITABLE, 0x3
.set LARGE_LEAF, 0x80
.set MSR_EFER, 0xc0000080
.set EFER_LME, 1 << 8
.set EFER_NXE, 1 << 11
.set CR0_WP, 1 << 16
.set CR0_PG, 1 << 31
.set CR4_PAE, 1 << 5
.set CPUID_TSC, 1 << 4
.set CPUID_MSR, 1 << 5
.set CPUID_PAE, 1 << 6
.set CPUID_CMOV, 1 << 15
.set CPUID_SSE2, 1 << 26
.set CPUID_LONG_MODE, 1 << 29
.set CPUID_NX, 1 << 20
.set BOOT_CODE, 0x08
.set BOOT_DATA, 0x10

.section .boot.text, "ax"
.code32
.global _start
.global pvh_start

# Multiboot2: EAX is the loader's magic, EBX the boot information.
_start:
    cmpl $MULTIBOOT2_LOADED, %eax
    je 1f
    movl $no_magic, %esi
    jmp stop_with_message
1:  movl $MULTIBOOT2_LOADED, %edi
    jmp enter

# PVH: EBX is the start info, whose first word is the magic.
pvh_start:
    cmpl $PVH_LOADED, (%ebx)
    je 1f
    movl $no_magic, %esi
    jmp stop_with_message
1:  movl $PVH_LOADED, %edi

# EDI: which door; EBX: its structure. Both stay untouched to the end.
enter:
    cli
    cld
    movl $boot_stack_32_top, %esp

    # Not every loader looks whether there is memory for all of the image, and its last part is not in its file: zeros and
    # stacks. Where there is no memory nothing answers with what was written; two values, as one may be what is read there.
    movl $image_end_loaded - 4, %esi
    movl $0x5aa5c33c, (%esi)
    cmpl $0x5aa5c33c, (%esi)
    jne no_memory_here
    notl (%esi)
    cmpl $~0x5aa5c33c, (%esi)
    jne no_memory_here

    # CPUID exists where EFLAGS.ID (bit 21) can be flipped.
    pushfl
    popl %eax
    movl %eax, %ecx
    xorl $0x200000, %eax
    pushl %eax
    popfl
    pushfl
    popl %eax
    cmpl %ecx, %eax
    je no_long_mode_here

    pushl %edi
    pushl %ebx
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb no_long_mode_here
    movl $0x80000001, %eax
    cpuid
    testl $CPUID_LONG_MODE, %edx
    jz no_long_mode_here
    movl %edx, %ebp

    # What the code is compiled for, and what its assembly uses, by name: a hypervisor can leave out any of it.
    movl $1, %eax
    cpuid
    movl $needed_features, %edi
1:  movl (%edi), %ecx
    movl 4(%edi), %esi
    addl $8, %edi
    jecxz 2f
    testl %ecx, %edx
    jz stop_with_message
    jmp 1b
2:  popl %ebx
    popl %edi

    rdtsc
    movl %eax, entry_ticks_low
    movl %edx, entry_ticks_low + 4

    # One PML4, two PDPTs, four PDs of 512 leaves of 2 MiB.
    movl $boot_pdpt_low + PRESENT_WRITABLE, boot_pml4
    movl $boot_pdpt_high + PRESENT_WRITABLE, boot_pml4 + 511 * 8
    movl $boot_pd + PRESENT_WRITABLE, boot_pdpt_high + 511 * 8
    movl $boot_pd + PRESENT_WRITABLE, %eax
    movl $boot_pdpt_low, %edx
    movl $4, %ecx
1:  movl %eax, (%edx)
    addl $0x1000, %eax
    addl $8, %edx
    decl %ecx
    jnz 1b
    movl $LARGE_LEAF + PRESENT_WRITABLE, %eax
    movl $boot_pd, %edx
    movl $4 * 512, %ecx
1:  movl %eax, (%edx)
    addl $0x200000, %eax
    addl $8, %edx
    decl %ecx
    jnz 1b

    # All else is off, whatever firmware and loader left on: with CR4.LA57 the CPU would take the root for a PML5 (firmware that
    # pages with five levels leaves it set, and loaders clear CR0.PG alone), and PCIDs, protection keys or CET want tables of
    # another kind. Paging is off, so that each of them can be switched off.
    movl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $boot_pml4, %eax
    movl %eax, %cr3

    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    testl $CPUID_NX, %ebp
    jz 1f
    orl $EFER_NXE, %eax
1:  wrmsr

    movl %cr0, %eax
    orl $CR0_PG + CR0_WP, %eax
    movl %eax, %cr0

    lgdtl boot_gdt_pointer
    ljmpl $BOOT_CODE, $long_mode

no_memory_here:
    movl $no_memory, %esi
    jmp stop_with_message

no_long_mode_here:
    movl $no_long_mode, %esi

# Prints the line at ESI on COM1 and stops. The port is set to 115,200 baud, 8N1; a port that is not there reads as all ones
# and so never blocks. One that does not take a byte within SENDS looks, a microsecond each at least on hardware, is given up.
stop_with_message:
    cli
    cld
    movw $COM1 + 1, %dx
    xorb %al, %al
    outb %al, %dx
    movw $COM1 + 3, %dx
    movb $0x80, %al
    outb %al, %dx
    movw $COM1, %dx
    movb $1, %al
    outb %al, %dx
    movw $COM1 + 1, %dx
    xorb %al, %al
    outb %al, %dx
    movw $COM1 + 3, %dx
    movb $3, %al
    outb %al, %dx
1:  movw $COM1 + 5, %dx
    movl $SENDS, %ecx
2:  pause
    inb %dx, %al
    testb $0x20, %al
    jnz 5f
    decl %ecx
    jnz 2b
    jmp 3f
5:  lodsb
    testb %al, %al
    jz 3f
    movw $COM1, %dx
    outb %al, %dx
    jmp 1b
    # Under QEMU the debug-exit device reports an error; elsewhere nothing listens there.
3:  movw $0xf4, %dx
    movl $0x12, %eax
    outl %eax, %dx
4:  hlt
    jmp 4b

.code64
long_mode:
    xorl %eax, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movabsq $high_entry, %rax
    jmpq *%rax

.section .text.entry, "ax"
high_entry:
    leaq main_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    # The System V ABI's first two arguments; writing a 32-bit register clears the upper half.
    movl %edi, %edi
    movl %ebx, %esi
    callq image_entry
    ud2

.section .boot.data, "aw"
.balign 8
boot_gdt:
    .quad 0
    # Code of 64-bit mode, data, and code of compatibility mode (five_levels.s).
    .quad 0x00af9a000000ffff
    .quad 0x00cf92000000ffff
    .quad 0x00cf9a000000ffff
boot_gdt_pointer:
    .short . - boot_gdt - 1
    .quad boot_gdt
no_magic:
    .asciz "pagemark: error: not started by a multiboot2 or PVH loader (wrong magic value)\r\n"
no_memory:
    .asciz "pagemark: error: too little memory: the image does not fit into it\r\n"
needed_features:
    .long CPUID_TSC, no_tsc, CPUID_MSR, no_msr, CPUID_PAE, no_pae, CPUID_CMOV, no_cmov, CPUID_SSE2, no_sse2, 0, 0
no_tsc:
    .asciz "pagemark: error: this CPU has no TSC (time-stamp counter, RDTSC)\r\n"
no_msr:
    .asciz "pagemark: error: this CPU has no MSR (model-specific registers, RDMSR)\r\n"
no_pae:
    .asciz "pagemark: error: this CPU has no PAE (physical-address extension)\r\n"
no_cmov:
    .asciz "pagemark: error: this CPU has no CMOV (conditional moves)\r\n"
no_sse2:
    .asciz "pagemark: error: this CPU has no SSE2 (LFENCE, MFENCE)\r\n"
no_long_mode:
    .asciz "pagemark: error: this CPU has no 64-bit long mode\r\n"

.section .boot.bss, "aw", @nobits
.balign 4096
boot_pml4: .skip 4096
boot_pdpt_low: .skip 4096
boot_pdpt_high: .skip 4096
.globl boot_pd
boot_pd: .skip 4 * 4096
.skip 256
boot_stack_32_top:

# The loader's last act and the image's first, in ticks; Rust reads it at its link address.
.section .bss.entry, "aw", @nobits
.balign 8
.global entry_ticks
entry_ticks: .skip 8
.set entry_ticks_low, entry_ticks - KERNEL_OFFSET

.text
