package Chat::Nginx;

# Test::Nginx::Socket as the tests here want it: a master and workers, a free
# port and a server root of this test alone, nginx -t for what must die, and a
# clean error log unless a block says otherwise.  Load it before
# Test::Nginx::Socket.

use strict;
use warnings;

use Exporter 'import';
use File::Basename ();
use File::Path ();
use Test::More ();

use Chat::Server qw(APP_ID APP_KEY APP_SECRET SCALE module_path build_dir
                    free_port slurp spew write_wrapper valgrind_faults);

our @EXPORT = qw(http_config app_config);

my ($name, $checker);

BEGIN {
    $name = File::Basename::basename($0, '.t');

    my $root = build_dir() . "/t/$name-$$";
    File::Path::make_path(build_dir() . '/t');

    $ENV{TEST_NGINX_SERVROOT} = $root;
    $ENV{TEST_NGINX_LOAD_MODULES} = module_path();
    $ENV{TEST_NGINX_PORT} = free_port();
    $ENV{TEST_NGINX_LOG_LEVEL} ||= 'info';
    $ENV{TEST_NGINX_TIMEOUT} = 5 * SCALE;
    # the workers' clients are all gone by then, nothing is waited for
    $ENV{TEST_NGINX_FAST_SHUTDOWN} = 1;
    delete $ENV{TEST_NGINX_MASTER_PROCESS};

    if ($ENV{CHAT_VALGRIND}) {
        my $wrapper = build_dir() . "/t/$name-$$-valgrind";
        write_wrapper($wrapper, "$name-$$");
        $ENV{TEST_NGINX_BINARY} = $wrapper;
    }
}


# The http block's usual part; the database is in a folder that nginx makes.

sub http_config {
    my ($more) = @_;

    return 'chat_zone 4m;' . "\n" . 'chat_database '
           . "$ENV{TEST_NGINX_SERVROOT}/cache/chat.db;\n"
           . app_config() . (defined $more ? $more : '');
}


sub app_config {
    return 'chat_app ' . APP_ID . ' { key ' . APP_KEY . '; secret '
           . APP_SECRET . "; }\n";
}


# Runs behind the END of Test::Nginx, which ends nginx, and before that of
# Test::Builder, which counts.

END {
    my $status = $?;

    unlink $checker if defined $checker;

    if ($ENV{CHAT_VALGRIND}) {
        Test::More::is(join(' ', valgrind_faults("$name-$$")), '',
                       "$name: valgrind has nothing to say");
        unlink $ENV{TEST_NGINX_BINARY};
    }

    File::Path::remove_tree($ENV{TEST_NGINX_SERVROOT})
        if $status == 0 && !$ENV{CHAT_KEEP}
           && Test::More->builder->is_passing;

    $? = $status;
}


# To be called once Test::Nginx::Socket is there.

sub setup {
    my (%args) = @_;

    require Test::Nginx::Util;

    Test::Nginx::Util::no_shuffle();
    Test::Nginx::Util::workers($args{workers} || 2);
    Test::Nginx::Util::master_on() unless $args{single};

    my $nginx = $Test::Nginx::Util::NginxBinary;
    $checker = build_dir() . "/t/$name-$$-check";
    spew($checker, "#!/bin/sh\nexec $nginx -t \"\$@\" 2>/dev/null\n");
    chmod 0755, $checker;

    Test::Nginx::Util::add_block_preprocessor(sub {
        my ($block) = @_;

        if (defined $block->must_die) {
            $Test::Nginx::Util::NginxBinary = $checker;
            return;
        }

        $Test::Nginx::Util::NginxBinary = $nginx;

        $block->set_value('no_error_log', "[alert]\n[emerg]\n[crit]\n")
            unless defined $block->no_error_log;
    });

    # What must die names the line that bears a "# HERE".
    Test::Nginx::Util::add_test_cleanup_handler(sub {
        my ($block) = @_;

        return unless defined $block->must_die;

        my @lines = split /\n/, slurp($Test::Nginx::Util::ConfFile);
        my ($line) = grep { $lines[$_ - 1] =~ /# HERE/ } 1 .. @lines;

        return unless defined $line;

        my ($emerg) = grep { /\[emerg\]/ }
                      split /\n/, slurp($Test::Nginx::Util::ErrLogFile);

        Test::More::like(defined $emerg ? $emerg : '',
                         qr/ in \S*nginx\.conf:$line$/,
                         $block->name . " - names file and line");
    });
}


1;
