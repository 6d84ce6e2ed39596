#include <arpa/inet.h>
#include <gnutls/crypto.h>
#include <gnutls/x509.h>
#include <time.h>

#include "certificate.h"

DEFINE_CLEANUP(gnutls_x509_crt_t, crt_freep, gnutls_x509_crt_deinit)
DEFINE_CLEANUP(gnutls_x509_privkey_t, key_freep, gnutls_x509_privkey_deinit)

#define _cleanup_crt_ _cleanup_(crt_freep)
#define _cleanup_key_ _cleanup_(key_freep)

/* A test without its certificate could only pass for the wrong reason. */
static void need(int r)
{
	if (r < 0) {
		(void)fprintf(stderr, "# certificate: %s\n", gnutls_strerror(r));
		abort();
	}
}

static char *text_of(const gnutls_datum_t *pem)
{
	char *text = strndup((const char *)pem->data, pem->size);

	if (!text)
		abort();
	gnutls_free(pem->data);
	return text;
}

static gnutls_datum_t datum(const char *text)
{
	return (gnutls_datum_t){ (unsigned char *)text, (unsigned)strlen(text) };
}

static void set_names(gnutls_x509_crt_t crt, const struct certificate_wish *wish)
{
	struct in_addr address;

	need(gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME, 0,
					   wish->name, (unsigned)strlen(wish->name)));
	if (wish->host)
		need(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME,
							  wish->host,
							  (unsigned)strlen(wish->host),
							  GNUTLS_FSAN_APPEND));
	if (wish->address && inet_pton(AF_INET, wish->address, &address) == 1)
		need(gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS,
							  &address, sizeof(address),
							  GNUTLS_FSAN_APPEND));
}

static void set_life(gnutls_x509_crt_t crt, const struct certificate_wish *wish)
{
	unsigned char serial[8];
	time_t now = time(NULL);

	need(gnutls_rnd(GNUTLS_RND_NONCE, serial, sizeof(serial)));
	serial[0] &= 0x7f; /* positive */
	need(gnutls_x509_crt_set_serial(crt, serial, sizeof(serial)));
	need(gnutls_x509_crt_set_activation_time(crt, now + wish->from));
	need(gnutls_x509_crt_set_expiration_time(crt, now + wish->to));
	need(gnutls_x509_crt_set_version(crt, 3));
	need(gnutls_x509_crt_set_ca_status(crt, wish->authority));
	if (wish->authority)
		need(gnutls_x509_crt_set_key_usage(
			crt, GNUTLS_KEY_KEY_CERT_SIGN | GNUTLS_KEY_DIGITAL_SIGNATURE));
}

static void sign_by(gnutls_x509_crt_t crt, const struct certificate *issuer)
{
	_cleanup_crt_ gnutls_x509_crt_t by = NULL;
	_cleanup_key_ gnutls_x509_privkey_t key = NULL;
	gnutls_datum_t pem = datum(issuer->pem), key_pem = datum(issuer->key);

	need(gnutls_x509_crt_init(&by));
	need(gnutls_x509_crt_import(by, &pem, GNUTLS_X509_FMT_PEM));
	need(gnutls_x509_privkey_init(&key));
	need(gnutls_x509_privkey_import(key, &key_pem, GNUTLS_X509_FMT_PEM));
	need(gnutls_x509_crt_sign2(crt, by, key, GNUTLS_DIG_SHA256, 0));
}

struct certificate certificate_make(const struct certificate_wish *wish)
{
	_cleanup_crt_ gnutls_x509_crt_t crt = NULL;
	_cleanup_key_ gnutls_x509_privkey_t key = NULL;
	gnutls_datum_t pem, key_pem;

	need(gnutls_x509_privkey_init(&key));
	need(gnutls_x509_privkey_generate(
		key, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1),
		0));
	need(gnutls_x509_crt_init(&crt));
	need(gnutls_x509_crt_set_key(crt, key));
	set_names(crt, wish);
	set_life(crt, wish);
	if (wish->issuer)
		sign_by(crt, wish->issuer);
	else
		need(gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0));
	need(gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem));
	need(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &key_pem));
	return (struct certificate){ .pem = text_of(&pem), .key = text_of(&key_pem) };
}

void certificate_done(struct certificate *certificate)
{
	free(certificate->pem);
	free(certificate->key);
	*certificate = (struct certificate){ 0 };
}
