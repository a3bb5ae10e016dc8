# Where an application processor starts: in real mode, at the first byte of the frame that the start-up interrupt names. What
# lies here is copied into that frame, which is also mapped at its own address while CPUs are started.
#
# A CPU first claims the place that the boot CPU has made ready. The boot CPU takes the claim back when it has waited long
# enough, so that a CPU that comes too late finds nothing to claim, and stops. Intel SDM volume 3, 9.4.4 and 11.8.5.
#
# On its way a CPU writes down the points that it passes, as signs of life. With paging on the frame is read-only, so the later
# points are written by Rust.

.set TRAMPOLINE_EFER, 0xc0000080

.section .rodata.trampoline, "a"
.balign 16
.code16
.global trampoline_start
trampoline_start:
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    # EBX: the frame's address.
    movzwl %ax, %ebx
    shll $4, %ebx
    xorl %eax, %eax
    lock xchgl %eax, trampoline_claim - trampoline_start
    testl %eax, %eax
    jz trampoline_too_late
    movl $1, trampoline_point - trampoline_start
    lgdtl trampoline_gdt_pointer - trampoline_start
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl *(trampoline_to_protected - trampoline_start)

trampoline_too_late:
    hlt
    jmp trampoline_too_late

.code32
.global trampoline_protected
trampoline_protected:
    movl $0x10, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $2, (trampoline_point - trampoline_start)(%ebx)
    movl (trampoline_cr4 - trampoline_start)(%ebx), %eax
    movl %eax, %cr4
    movl (trampoline_cr3 - trampoline_start)(%ebx), %eax
    movl %eax, %cr3
    movl $TRAMPOLINE_EFER, %ecx
    movl (trampoline_efer - trampoline_start)(%ebx), %eax
    xorl %edx, %edx
    wrmsr
    movl $3, (trampoline_point - trampoline_start)(%ebx)
    movl (trampoline_cr0 - trampoline_start)(%ebx), %eax
    movl %eax, %cr0
    ljmpl *(trampoline_to_long - trampoline_start)(%ebx)

.code64
.global trampoline_long
trampoline_long:
    movl %ebx, %ebx
    xorl %eax, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %fs
    movw %ax, %gs
    movw %ax, %ss
    movq (trampoline_stack - trampoline_start)(%rbx), %rsp
    movq (trampoline_argument - trampoline_start)(%rbx), %rdi
    movq (trampoline_entry - trampoline_start)(%rbx), %rax
    xorl %ebp, %ebp
    callq *%rax
    ud2

# Marked as accessed: the far jump to 64-bit mode runs with paging on, and would fault when it marks its descriptor in this frame,
# which is read-only.
.balign 8
trampoline_gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00af9b000000ffff
trampoline_gdt_end:

# What the boot CPU fills in: `Parameters` in src/smp/trampoline.rs.
.balign 8
.global trampoline_parameters
trampoline_parameters:
trampoline_claim: .long 0
trampoline_cr3: .long 0
trampoline_cr4: .long 0
trampoline_efer: .long 0
trampoline_cr0: .long 0
trampoline_to_protected:
    .long 0
    .long 0x08
    .short 0
trampoline_gdt_pointer:
    .short trampoline_gdt_end - trampoline_gdt - 1
    .long 0
trampoline_to_long:
    .long 0
    .long 0x18
trampoline_point: .long 0
trampoline_stack: .quad 0
trampoline_entry: .quad 0
trampoline_argument: .quad 0
.global trampoline_end
trampoline_end:

.global trampoline_gdt
.text
