# What is no regular file in place of the database's: a pipe, a folder, a
# socket, a device, in place of the file, its -wal, -shm or -journal.  nginx -t
# says so; a running server answers 503, has it in the log, is not held up, and
# goes on when the file is back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::UNIX;
use POSIX qw(mkfifo);
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(wait_for);

my %make = (
    'a pipe'   => sub { mkfifo($_[0], 0666) or die "mkfifo: $!" },
    'a folder' => sub { mkdir $_[0] or die "mkdir: $!" },
    'a socket' => sub {
        IO::Socket::UNIX->new(Local => $_[0], Listen => 1)
            or die "a socket: $!";
    },
    'a device' => sub {
        symlink '/dev/zero', $_[0] or die "symlink: $!";
    },
);

my ($server, $path, @http, @pids);


sub start {
    $server = Chat::Server->new(workers => 2, listen => 'reuseport')->start;
    $path = $server->database;
    @http = map { Chat::HTTP->new(port => $server->port) } 1 .. 6;
    @pids = $server->worker_pids;
}


sub all {
    my ($method) = @_;

    my %status = map {
        my $res = $method eq 'POST'
                  ? $_->post('/messages', { content => 'text' })
                  : $_->get('/messages?limit=1');
        $res->{status} => 1;
    } @http;

    return join ' ', sort keys %status;
}


sub remove {
    -d $_[0] && !-l $_[0] ? rmdir $_[0] : unlink $_[0] or die "$_[0]: $!";
}


for my $what (sort keys %make) {
    for my $suffix ('', '-wal', '-shm') {
        my $name = "$what as chat.db$suffix";

        subtest $name => sub {
            start();
            is(all('POST'), '201', 'before');

            # all of the database, or what is beside it
            rename "$path$suffix", "$path$suffix.away" or die;
            $make{$what}->("$path$suffix");

            is(all('POST'), '503', 'POSTs get 503') for 1 .. 2;
            is(all('GET'), '503', 'history, too');
            ok(wait_for(10, sub {
                   return $server->error_log
                       =~ /\[crit\].*(?:is not a regular|is a directory)/;
               }), 'the log has it as crit');

            my ($code, $said) = $server->check_conf;

            isnt($code, 0, 'nginx -t refuses it');
            like($said, qr/is not a regular file|is a directory/,
                 'and says why');
            $server->expect_log(qr/\[emerg\].* (?:is not|is a) /);

            remove("$path$suffix");
            rename "$path$suffix.away", "$path$suffix" or die;

            ok(wait_for(20, sub { all('POST') eq '201' }),
               'with the file back POSTs are taken again');
            is(all('GET'), '200', 'and history is there');
            is(join(' ', $server->worker_pids), "@pids",
               'the workers are the same');
            $server->finish;
        };
    }
}


# SQLite looks for a journal where it opens a file.

subtest 'a pipe beside a database that is yet to be made' => sub {
    for my $suffix ('-wal', '-shm', '-journal') {
        $server = Chat::Server->new(workers => 1);
        $path = $server->database;
        mkdir $server->dir . '/data';
        mkfifo("$path$suffix", 0666) or die;

        my ($code, $said) = $server->check_conf;

        isnt($code, 0, "$suffix: nginx -t refuses it");
        like($said, qr/its $suffix is not a regular file/, "$suffix: why");
        $server->expect_log(qr/\[emerg\].* is not a regular file/);

        remove("$path$suffix");
        $server->start;
        is(Chat::HTTP->new(port => $server->port)
               ->post('/messages', { content => 'a' })->{status}, 201,
           "$suffix: without it all is well");
        $server->finish;
    }
};


done_testing();
