# What a loader looks for in the file, before any of it runs.
#
# Multiboot2 specification 2.0, section 3.1: the header lies in the first 32 KiB of the file, 8-byte aligned.
# PVH: an ELF note of owner "Xen" and type 18 (XEN_ELFNOTE_PHYS32_ENTRY) gives the 32-bit entry point; `qemu -kernel` takes
# an ELF64 only with that note. Its descriptor is 8 bytes wide, as QEMU reads a whole word.

.set MULTIBOOT2_MAGIC, 0xe85250d6
.set MULTIBOOT2_I386, 0
.set MULTIBOOT2_FRAMEBUFFER, 5
.set MULTIBOOT2_OPTIONAL, 1

.section .boot.header, "a"
.balign 8
multiboot2_header:
    .long MULTIBOOT2_MAGIC
    .long MULTIBOOT2_I386
    .long multiboot2_header_end - multiboot2_header
    .long -(MULTIBOOT2_MAGIC + MULTIBOOT2_I386 + (multiboot2_header_end - multiboot2_header))
    # A framebuffer, if there can be one (3.1.10), on which the log is legible: width, height, bits of a pixel.
    .short MULTIBOOT2_FRAMEBUFFER, MULTIBOOT2_OPTIONAL
    .long 20
    .long 1024, 768, 32
    .balign 8
    # End tag: type 0, flags 0, size 8. The ELF's own headers say where to load and where to enter.
    .short 0, 0
    .long 8
multiboot2_header_end:

.section .note.pvh, "a", @note
.balign 4
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad pvh_start

.text
