# PVH: QEMU calls the address in this note in 32-bit mode, without paging. From there to 64-bit mode, the first GiB mapped as it is.
.section .note.pvh, "a"
.long 4, 4, 18
.asciz "Xen"
.long entry

.section .data
.balign 4096
pml4: .quad pdpt + 3
.fill 511, 8, 0
pdpt: .quad pd + 3
.fill 511, 8, 0
pd: .set page, 0
.rept 512
.quad (page << 21) + 0x83
.set page, page + 1
.endr
gdt: .quad 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdt_pointer: .word 23
.long gdt
.section .bss
.balign 16
.fill 65536
stack:

.section .text
.code32
.global entry
entry:
    mov esp, offset stack
    mov eax, 0x20           # CR4.PAE
    mov cr4, eax
    mov eax, offset pml4
    mov cr3, eax
    mov ecx, 0xc0000080     # EFER.LME
    rdmsr
    or eax, 0x100
    wrmsr
    mov eax, 0x80000011     # CR0: PG, ET, PE
    mov cr0, eax
    lgdt [gdt_pointer]
    push 8
    mov eax, offset long_mode
    push eax
    retf
.code64
long_mode:
    mov eax, 16
    mov ss, eax
    mov ds, eax
    mov es, eax
    call run
