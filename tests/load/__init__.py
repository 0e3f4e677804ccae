"""The system under load: many POSTs, floods of uploads, corrupt files; each in a short form and in a long one."""
