# A library whose functions are entered and left at different depths of the stack, neither of which is
# that of the first instruction.
    .text
    .globl SSL_write
    .type SSL_write, @function
SSL_write:
    sub $8, %rsp
    test %edx, %edx
    js 1f                   # the entry, 8 bytes down
    push %rbx
    mov %edx, %ebx
    call work
    mov %ebx, %eax
    test %ecx, %ecx
    je 2f                   # one way out, 16 bytes down
2:  pop %rbx
    add $8, %rsp
    ret
1:  mov $-1, %eax
    jmp 3f                  # the other, 8 bytes down
3:  add $8, %rsp
    ret
    .size SSL_write, . - SSL_write

    .globl SSL_read
    .type SSL_read, @function
SSL_read:
    push %rbx               # here is all
    mov %edx, %eax
    pop %rbx
    ret
    .size SSL_read, . - SSL_read

    .type work, @function
work:
    xor %ecx, %ecx
    ret
    .size work, . - work
    .section .note.GNU-stack, "", @progbits
