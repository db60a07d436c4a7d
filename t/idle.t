# A module that is loaded but not configured does nothing at all: no zone, no
# thread, no descriptor, no file.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::HTTP;
use Chat::Server qw(module_path slurp);

my $conf = <<'END';
LOAD
USER
daemon off;
worker_processes 1;
pid logs/nginx.pid;
error_log logs/error.log info;
events { }
http {
    access_log off;
    client_body_temp_path tmp/body;
    proxy_temp_path tmp/proxy;
    fastcgi_temp_path tmp/fastcgi;
    uwsgi_temp_path tmp/uwsgi;
    scgi_temp_path tmp/scgi;
    server { listen 127.0.0.1:PORT; location / { return 200 plain; } }
}
END


sub look {
    my ($load) = @_;

    my $server = Chat::Server->new(workers => 1, conf => '');
    my $text = $conf;
    my $port = $server->port;
    my $user = $> == 0 ? 'user root;' : '';

    $text =~ s/LOAD/$load/;
    $text =~ s/USER/$user/;
    $text =~ s/PORT/$port/;
    $server->write_conf(conf => $text);
    $server->start;

    is(Chat::HTTP->new(port => $port)->get('/')->{body}, 'plain', 'it serves');

    my %seen;

    for my $what ([ master => $server->master_pid ],
                  [ worker => $server->worker_pids ])
    {
        my ($name, $pid) = @$what;
        my @threads = glob "/proc/$pid/task/*";
        my @kinds = sort map { s/\d+//gr }
                    grep { !/^\/|^socket:/ }
                    map { readlink } glob "/proc/$pid/fd/*";
        my @shared = grep { m{/dev/zero|SYSV} }
                     split /\n/, slurp("/proc/$pid/maps");

        $seen{$name} = { threads => scalar @threads, descriptors => "@kinds",
                         zones => scalar @shared };
    }

    $seen{files} = join ' ', map { s{.*/}{}r }
                   sort glob $server->dir . '/{*,tmp/*}';
    $server->finish;

    return \%seen;
}


is_deeply(look('load_module ' . module_path() . ';'), look(''),
          'nginx with the module is as nginx without it');

done_testing();
