# The prompt of NixOS's media.
if [ "$(id -u)" = 0 ]; then color=31; else color=32; fi
PS1="\n\[\033[1;${color}m\][\u@\h:\w]\\$\[\033[0m\] "
unset color
