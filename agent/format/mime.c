#include <fcntl.h>
#include <strings.h>

#include "fs.h"
#include "macro.h"
#include "mime.h"

struct extension {
	const char *name; /* in any case */
	const char *type;
};

/* Sorted by name, each name once. All strings are in @text. */
struct mime {
	char *text;
	struct extension *extensions;
	size_t count, room;
};

/* The types that people send to each other, in the format of the file it stands in for.
 */
static const char builtin[] =
	"application/epub+zip epub\n"
	"application/gzip gz tgz\n"
	"application/java-archive jar\n"
	"application/json json map\n"
	"application/ld+json jsonld\n"
	"application/msword doc dot\n"
	"application/ogg ogx\n"
	"application/pdf pdf\n"
	"application/pgp-encrypted pgp\n"
	"application/pgp-signature sig\n"
	"application/pkcs7-mime p7m p7c\n"
	"application/pkcs7-signature p7s\n"
	"application/postscript ps eps ai\n"
	"application/rtf rtf\n"
	"application/sql sql\n"
	"application/vnd.android.package-archive apk\n"
	"application/vnd.apple.keynote key\n"
	"application/vnd.apple.numbers numbers\n"
	"application/vnd.apple.pages pages\n"
	"application/vnd.google-earth.kml+xml kml\n"
	"application/vnd.google-earth.kmz kmz\n"
	"application/vnd.ms-excel xls xlt\n"
	"application/vnd.ms-excel.sheet.binary.macroEnabled.12 xlsb\n"
	"application/vnd.ms-excel.sheet.macroEnabled.12 xlsm\n"
	"application/vnd.ms-outlook msg\n"
	"application/vnd.ms-powerpoint ppt pps pot\n"
	"application/vnd.ms-powerpoint.presentation.macroEnabled.12 pptm\n"
	"application/vnd.ms-word.document.macroEnabled.12 docm\n"
	"application/vnd.oasis.opendocument.graphics odg\n"
	"application/vnd.oasis.opendocument.presentation odp\n"
	"application/vnd.oasis.opendocument.spreadsheet ods\n"
	"application/vnd.oasis.opendocument.text odt\n"
	"application/vnd.openxmlformats-officedocument.presentationml.presentation pptx\n"
	"application/vnd.openxmlformats-officedocument.presentationml.slideshow ppsx\n"
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet xlsx\n"
	"application/vnd.openxmlformats-officedocument.spreadsheetml.template xltx\n"
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document docx\n"
	"application/vnd.openxmlformats-officedocument.wordprocessingml.template dotx\n"
	"application/vnd.rar rar\n"
	"application/vnd.visio vsd vsdx\n"
	"application/wasm wasm\n"
	"application/x-7z-compressed 7z\n"
	"application/x-bzip2 bz2\n"
	"application/x-iso9660-image iso\n"
	"application/x-msdos-program exe com bat dll\n"
	"application/x-sh sh\n"
	"application/x-tar tar\n"
	"application/x-xz xz\n"
	"application/xhtml+xml xhtml xht\n"
	"application/xml xml xsl xsd\n"
	"application/yaml yaml yml\n"
	"application/zip zip\n"
	"application/zstd zst\n"
	"audio/aac aac\n"
	"audio/amr amr\n"
	"audio/flac flac\n"
	"audio/midi mid midi\n"
	"audio/mp4 m4a\n"
	"audio/mpeg mp3 mpga\n"
	"audio/ogg ogg oga opus\n"
	"audio/x-aiff aif aiff\n"
	"audio/x-ms-wma wma\n"
	"audio/x-wav wav\n"
	"font/otf otf\n"
	"font/ttf ttf\n"
	"font/woff woff\n"
	"font/woff2 woff2\n"
	"image/avif avif\n"
	"image/bmp bmp\n"
	"image/gif gif\n"
	"image/heic heic\n"
	"image/heif heif\n"
	"image/jp2 jp2\n"
	"image/jpeg jpg jpeg jpe jfif\n"
	"image/jxl jxl\n"
	"image/png png\n"
	"image/svg+xml svg svgz\n"
	"image/tiff tif tiff\n"
	"image/vnd.adobe.photoshop psd\n"
	"image/vnd.dwg dwg\n"
	"image/vnd.dxf dxf\n"
	"image/vnd.microsoft.icon ico\n"
	"image/webp webp\n"
	"message/rfc822 eml mht\n"
	"text/calendar ics\n"
	"text/css css\n"
	"text/csv csv\n"
	"text/html html htm\n"
	"text/javascript js mjs\n"
	"text/markdown md markdown\n"
	"text/plain txt text log conf asc\n"
	"text/tab-separated-values tsv\n"
	"text/vcard vcf vcard\n"
	"video/3gpp 3gp\n"
	"video/mp2t ts m2ts\n"
	"video/mp4 mp4 m4v\n"
	"video/mpeg mpeg mpg mpe\n"
	"video/ogg ogv\n"
	"video/quicktime mov qt\n"
	"video/webm webm\n"
	"video/x-flv flv\n"
	"video/x-matroska mkv\n"
	"video/x-ms-wmv wmv\n"
	"video/x-msvideo avi\n";

/* Names of types (RFC 6838, section 4.2) go into a header: nothing else may slip in. */
static bool is_type(const char *word)
{
	static const char name[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				   "0123456789!#$&-^_.+";
	size_t main_length = strspn(word, name), sub_length;

	if (main_length == 0 || word[main_length] != '/')
		return false;
	sub_length = strspn(word + main_length + 1, name);
	return sub_length > 0 && !word[main_length + 1 + sub_length];
}

static int add(struct mime *mime, const char *name, const char *type)
{
	if (mime->count == mime->room) {
		size_t room = MAX(mime->room * 2, (size_t)256);
		struct extension *larger;

		larger = reallocarray(mime->extensions, room, sizeof(*larger));
		if (!larger)
			return -ENOMEM;
		mime->extensions = larger;
		mime->room = room;
	}
	mime->extensions[mime->count++] = (struct extension){ name, type };
	return 0;
}

/* @line is cut into its words, in place. */
static int read_line(struct mime *mime, char *line)
{
	static const char blank[] = " \t\r\f\v";
	char *rest = line + strspn(line, blank), *type = strsep(&rest, blank), *name;

	/* Most have no name at all. */
	if (!rest || !is_type(type))
		return 0;
	while ((name = strsep(&rest, blank)) && *name != '#') {
		int r = *name ? add(mime, name, type) : 0;

		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const struct extension *x = a, *y = b;

	return strcasecmp(x->name, y->name);
}

/* All names are in one text, so what came first has the lower address. */
static int compare_names_and_age(const void *a, const void *b)
{
	const struct extension *x = a, *y = b;
	int order = compare_names(a, b);

	return order ? order : (x->name > y->name) - (x->name < y->name);
}

static void sort(struct mime *mime)
{
	size_t kept = 0;

	if (mime->count == 0)
		return;
	qsort(mime->extensions, mime->count, sizeof(*mime->extensions),
	      compare_names_and_age);
	for (size_t i = 1; i < mime->count; i++)
		if (compare_names(&mime->extensions[kept], &mime->extensions[i]) != 0)
			mime->extensions[++kept] = mime->extensions[i];
	mime->count = kept + 1;
}

DEFINE_CLEANUP(struct mime *, mime_freep, mime_free)

int mime_parse(const char *text, size_t length, struct mime **ret)
{
	_cleanup_(mime_freep) struct mime *mime = calloc(1, sizeof(*mime));
	char *p, *end;

	if (!mime)
		return -ENOMEM;
	p = mime->text = malloc(length + 1);
	if (!p)
		return -ENOMEM;
	end = length > 0 ? mempcpy(p, text, length) : p;
	*end = '\n';
	while (p < end) {
		char *newline = rawmemchr(p, '\n');
		int r;

		*newline = '\0';
		/* A line with a NUL in it is of no known form. */
		r = strlen(p) == (size_t)(newline - p) ? read_line(mime, p) : 0;
		if (r < 0)
			return r;
		p = newline + 1;
	}
	sort(mime);
	*ret = take_ptr(mime);
	return 0;
}

int mime_load(const char *path, struct mime **ret)
{
	_cleanup_free_ char *text = NULL;
	size_t length;
	int r;

	r = fs_read_file(AT_FDCWD, path, MIME_FILE_MAX, &text, &length);
	if (r == -ENOENT)
		return mime_parse(builtin, STRLEN(builtin), ret);
	if (r < 0)
		return r;
	return mime_parse(text, length, ret);
}

void mime_free(struct mime *mime)
{
	if (!mime)
		return;
	free(mime->extensions);
	free(mime->text);
	free(mime);
}

const char *mime_type(const struct mime *mime, const char *name)
{
	const char *dot = strrchr(name, '.');
	const struct extension *found;

	if (!dot || dot == name || mime->count == 0)
		return MIME_DEFAULT;
	found = bsearch(&(struct extension){ .name = dot + 1 }, mime->extensions,
			mime->count, sizeof(*mime->extensions), compare_names);
	return found ? found->type : MIME_DEFAULT;
}
