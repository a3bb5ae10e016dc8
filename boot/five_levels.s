# From four levels of page tables to five, while the image runs.
#
# CR4.LA57 can only be changed while paging is off, and 64-bit mode has no way to turn paging off: so the way leads through
# compatibility mode, where it is turned off and on again, in code that lies at its physical address. Between, the boot tables
# get a fifth level on top, which maps both halves of the address space as before: the caller goes on as if nothing had
# happened. Intel SDM volume 3, 5.1.2 (LA57) and 11.8.5 (switching modes).
#
# An exception on the way ends in a reset, as the IDT lies out of reach. Only the boot CPU takes it; another one is brought up
# with CR4.LA57 as the boot CPU has it then.

.set CR4_LA57, 1 << 12
.set COMPATIBILITY_CODE, 0x18

.section .text.five_levels, "ax"
.code64
# extern "C" fn(): on the boot tables, with interrupts off and CR4.PGE and CR4.PCIDE clear.
.global enter_five_levels
enter_five_levels:
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    # 64-bit values do not survive the way; what is kept lies where 32-bit code reaches it, too.
    movq %rsp, five_levels_stack
    sgdt five_levels_gdt_pointer
    lgdt boot_gdt_pointer
    pushq $COMPATIBILITY_CODE
    pushq $five_levels_compatibility
    lretq

five_levels_return:
    movq five_levels_stack, %rsp
    lgdt five_levels_gdt_pointer
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    retq

.section .boot.text, "ax"
.code32
five_levels_compatibility:
    # Both GDTs have the code segment of 64-bit mode and the data segment at the same selectors.
    movl $BOOT_DATA, %eax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl %cr0, %eax
    andl $~CR0_PG, %eax
    movl %eax, %cr0

    movl $boot_pml4 + PRESENT_WRITABLE, boot_pml5
    movl $boot_pml4 + PRESENT_WRITABLE, boot_pml5 + 511 * 8
    movl %cr4, %eax
    orl $CR4_LA57, %eax
    movl %eax, %cr4
    movl $boot_pml5, %eax
    movl %eax, %cr3

    # EFER.LME is still set: with paging the CPU is in long mode again.
    movl %cr0, %eax
    orl $CR0_PG, %eax
    movl %eax, %cr0
    ljmpl $BOOT_CODE, $five_levels_long_mode

.code64
five_levels_long_mode:
    movabsq $five_levels_return, %rax
    jmpq *%rax

.section .boot.bss, "aw", @nobits
.balign 4096
boot_pml5: .skip 4096
five_levels_stack: .skip 8
five_levels_gdt_pointer: .skip 16

.text
