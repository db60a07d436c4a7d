#!/usr/bin/perl

# unit.pl: builds the unit tests, t/unit/ROOM/NAME_test.c, to
# build/unit/ROOM/NAME_test.  Near its top a test names what it is made of:
#
#     /* sources: wire/ngx_chat_utf8.c libs: -lyajl */
#
# in one comment or several.  All else that it needs are headers.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(basename dirname);
use File::Path ();

chdir dirname(Cwd::abs_path($0)) . '/../..' or die $!;

my $build = Cwd::getcwd() . '/build';
my $variant = $ENV{NGINX_SRC} ? 'src-' : '';
my $nginx = "$build/${variant}nginx/src";

# nginx's headers are not ours to warn about
my @includes = map { ('-isystem', "$nginx/$_") }
    qw(core event event/modules os/unix http http/modules http/v2);

my @warnings = qw(-W -Wall -Wextra -Wpointer-arith -Wno-unused-parameter
                  -Werror);

my $cflags = "-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined"
             . " -fno-sanitize-recover=all @warnings -Ingx_chat_module"
             . " -It/unit -isystem $build/${variant}objs @includes";

my @headers = (split(/\n/, `find ngx_chat_module t/unit -name '*.h'`),
               grep { -f } glob("$build/${variant}objs/*.h"));

my (@bins, $rules);

$rules = '';

for my $test (glob('t/unit/*/*_test.c')) {
    open my $fh, '<', $test or die "open $test: $!";
    my $text = do { local $/; <$fh> };

    my @words = map { split } $text =~ m{/\*[\s*]*sources:(.*?)\*/}gs;

    my @sources = map { "ngx_chat_module/$_" } grep { /\.c$/ } @words;
    my @libs = grep { /^-/ } @words;

    my $bin = 'build/unit/' . basename(dirname($test)) . '/'
              . basename($test, '.c');

    if (!@sources) {
        warn "$test: no comment \"sources:\"\n";
        unlink $bin;
        next;
    }

    File::Path::make_path(dirname($bin));
    push @bins, $bin;

    $rules .= "$bin: $test @sources @headers t/tools/unit.pl\n"
              . "\t\@echo '== compiling $bin'\n"
              . "\t\@\$(CC) $cflags -o \$@ $test @sources @libs\n\n";
}

exit 0 if !@bins;

my $makefile = 'build/unit/Makefile';

open my $fh, '>', $makefile or die "open $makefile: $!";
print $fh "all: @bins\n\n$rules" or die;
close $fh or die;

chomp(my $jobs = `nproc`);
delete $ENV{MAKEFLAGS};

my @make = ('make', "-j$jobs", '--no-print-directory', '-f', $makefile);

exit 0 if system(@make, '-k') == 0;

# what an earlier source made must not stand for one that does not compile

for my $bin (@bins) {
    unlink $bin if system(@make, '-q', $bin) != 0;
}

exit 1;
