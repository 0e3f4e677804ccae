"""Speed and memory, printed with the machine they were measured on."""
