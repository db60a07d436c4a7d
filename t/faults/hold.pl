#!/usr/bin/perl

# hold.pl ADDRESS BACKLOG NONBLOCKING COMMAND [ARGUMENT ...]: what systemd does
# for a service with socket activation.  It listens at ADDRESS:0, prints the
# port, and starts the command each time that it reads a line "start"; prints
# "started PID" and "exited PID STATUS".  The socket stays open until standard
# input ends.
#
# The command gets it as descriptor 3, with LISTEN_FDS and LISTEN_PID; as with
# systemd it is a blocking one unless NONBLOCKING is 1.

use strict;
use warnings;

use Fcntl qw(F_GETFL F_SETFL O_NONBLOCK);
use IO::Select;
use IO::Socket::INET;
use POSIX qw(WNOHANG);

my ($address, $backlog, $nonblocking, @command) = @ARGV;

my $socket = IO::Socket::INET->new(LocalAddr => $address, LocalPort => 0,
                                   Listen => $backlog, Proto => 'tcp')
    or die "listen $address: $@\n";

$socket->blocking(0);

# a child's end wakes the loop
pipe(my $reader, my $writer) or die "pipe: $!\n";
$SIG{CHLD} = sub { syswrite $writer, '.' };

$| = 1;
print $socket->sockport, "\n";


sub start {
    my $pid = fork;

    die "fork: $!\n" unless defined $pid;

    if ($pid == 0) {
        my $flags = fcntl($socket, F_GETFL, 0) or die "fcntl: $!\n";

        $flags = $nonblocking ? $flags | O_NONBLOCK : $flags & ~O_NONBLOCK;
        fcntl($socket, F_SETFL, $flags) or die "fcntl: $!\n";

        # dup2() leaves close-on-exec where both are the same
        my $copy = POSIX::dup(fileno $socket);
        POSIX::dup2($copy, 3) or die "dup2: $!\n";
        POSIX::close($copy) if $copy != 3;

        open STDIN, '<', '/dev/null' or die "open: $!\n";
        open STDOUT, '>&', \*STDERR or die "dup: $!\n";

        @ENV{qw(LISTEN_FDS LISTEN_PID)} = (1, $$);
        exec @command or die "exec $command[0]: $!\n";
    }

    print "started $pid\n";
}


my $select = IO::Select->new(\*STDIN, $reader);
my $input = '';

while (1) {
    for my $fh ($select->can_read) {
        if ($fh == $reader) {
            sysread $reader, my $bytes, 4096;

        } else {
            my $n = sysread STDIN, $input, 4096, length $input;

            exit 0 if defined $n && $n == 0;

            start() while $input =~ s/^start\n//;
        }
    }

    while ((my $pid = waitpid -1, WNOHANG) > 0) {
        print "exited $pid $?\n";
    }
}
