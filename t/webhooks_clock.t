# The clock is set back by a day while a webhook waits for its next attempt, and
# while another one's request is under way: both arrive in their time, and
# nothing is given up.
#
# nginx is told another time by a library that stands before the C library.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Path ();
use Test::More;

use Chat::Pusher;
use Chat::Receiver;
use Chat::Server qw(build_dir spew wait_for);

use constant DAY => 24 * 3600;

my $dir = build_dir() . "/t/webhooks_clock-$$-receivers";

File::Path::make_path($dir);

spew("$dir/clock.c", <<'C');
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/* OFFSET is a file with the seconds that are added. */

int
clock_gettime(clockid_t id, struct timespec *ts)
{
    int   fd, rc;
    char  text[32] = "";

    rc = syscall(SYS_clock_gettime, id, ts);

    if (id == CLOCK_REALTIME && (fd = open(OFFSET, O_RDONLY)) != -1) {

        if (read(fd, text, sizeof(text) - 1) > 0) {
            ts->tv_sec += atol(text);
        }

        close(fd);
    }

    return rc;
}
C

is(system($ENV{CC} || 'cc', '-shared', '-fPIC', '-o', "$dir/clock.so",
          "-DOFFSET=\"$dir/offset\"", "$dir/clock.c"), 0, 'a clock of our own');

my %r = map { $_ => Chat::Receiver->new(dir => $dir, name => $_) }
        qw(waits asked);

$r{waits}->answer('500');
$r{asked}->answer('hang');

my $t = do {
    local $ENV{LD_PRELOAD} = join ' ', grep { length }
                                  $ENV{LD_PRELOAD} // '', "$dir/clock.so";

    Chat::Pusher->new(
        workers => 2,
        app     => join "\n", map { 'webhook ' . $_->url
                                    . ' events=message_stored;' } values %r);
};

my $id = $t->publish('room', 'text');

ok(wait_for(10, sub {
    $t->sqlite('SELECT max(tries) FROM webhook_events') >= 2;
}), 'one waits for its third attempt');
ok(wait_for(10, sub { $r{asked}->requests >= 1 }), 'one has been asked');

spew("$dir/offset", -DAY);
$r{asked}->answer('200');

# what is sent behind that is stamped by the new clock
ok(wait_for(30, sub {
    my ($last) = reverse $r{waits}->requests;

    return $last->{body} =~ /"time_ms":(\d+)/
           && $1 / 1000 < time() - DAY / 2;
}), 'nginx has the time of yesterday');
$r{waits}->answer('200');

for my $name (sort keys %r) {
    is(scalar @{[ $r{$name}->wait_texts(1, qr/stored room/) ]}, 1,
       "$name: it arrives");
}

is($t->status->{webhooks}{dead}, 0, 'nothing is given up');

$t->finish;
done_testing();
